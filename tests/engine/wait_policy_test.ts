/** Decisions of the engine about operations in flight, tested without any operation. */
import { assert, assertEquals } from "@std/assert";
import { OPERATION, type OperationKind } from "../../lib/engine/mod.ts";
import { type Situation, WaitPolicy } from "../../lib/engine/_wait_policy.ts";

const { READ, WRITE, SYNC_FULL } = OPERATION;

/** A program that only runs operations of one kind, a number of them at a time. */
class Program {
  readonly policy: WaitPolicy;
  now = 1000;

  constructor(wait: "bounded" | "reaper" = "bounded") {
    this.policy = new WaitPolicy({ wait });
  }

  /** Runs operations in turns of their own: they start, complete, and are reported. */
  run(kind: OperationKind, latencyMs: number, rounds: number, count = 1): void {
    for (let i = 0; i < rounds; i++) {
      this.start(kind, count);
      this.policy.submitted(this.now);
      this.policy.own(this.now);
      this.now += latencyMs;
      for (let j = 0; j < count; j++) this.policy.ended(kind, latencyMs * 1000);
      this.policy.returned(this.now, count);
      this.policy.turned(this.now += 0.005);
      this.policy.telling(count);
    }
  }

  start(kind: OperationKind, count: number): void {
    for (let j = 0; j < count; j++) this.policy.started(kind);
  }

  decide(situation: Partial<Situation>, isReaping = false): string {
    const none = { queuedCount: 0, inFlightCount: 1, overCount: 0 };
    const facts = { ...none, ...situation };
    const decision = this.policy.decide(facts, isReaping, this.now);
    return decision === "wait"
      ? `wait for ${this.policy.min}, ${this.policy.waitMicros} us`
      : decision;
  }
}

Deno.test("WaitPolicy.decide() lets a submitting call wait for reads: for one of few, for a third of many", () => {
  for (const [count, min] of [[1, 1], [5, 1], [6, 2], [32, 10]] as const) {
    const program = new Program();
    program.run(READ, 0.06, 20, count);
    program.start(READ, count);
    const decision = program.decide({
      queuedCount: count,
      inFlightCount: count,
    });
    assert(decision.startsWith(`wait for ${min}, `), decision);
  }
});

Deno.test("WaitPolicy.decide() lets no submitting call wait while more may follow or others wait", () => {
  const program = new Program();
  program.run(READ, 0.06, 20, 4);
  program.start(READ, 4);
  const all = { queuedCount: 4, inFlightCount: 4 };
  assert(program.decide(all).startsWith("wait"));
  assertEquals(program.decide({ ...all, queuedCount: 3 }), "poll");
  assertEquals(program.decide({ ...all, overCount: 1 }), "poll");
  assertEquals(program.decide(all, true), "poll");
});

Deno.test("WaitPolicy.decide() lets a call that submits a write wait only if the write is alone and turns are short", () => {
  const program = new Program();
  program.run(WRITE, 0.1, 20);
  program.start(WRITE, 1);
  assert(program.decide({ queuedCount: 1 }).startsWith("wait"));
  program.start(WRITE, 1);
  assertEquals(program.decide({ queuedCount: 1, inFlightCount: 2 }), "poll");
  const busy = new Program();
  busy.run(WRITE, 0.1, 20);
  busy.policy.own(busy.now);
  busy.policy.turned(busy.now += 0.1);
  busy.policy.telling(1);
  busy.start(WRITE, 1);
  assertEquals(busy.decide({ queuedCount: 1 }), "poll");
});

Deno.test("WaitPolicy.decide() polls once after completions were reported, waits three times the latency, then leaves it to the reaper", () => {
  const program = new Program();
  program.run(READ, 0.06, 20);
  program.start(READ, 1);
  program.policy.submitted(program.now);
  assertEquals(program.decide({}), "poll");
  program.policy.turned(program.now);
  const first = program.decide({});
  const [, micros] = /wait for 1, (\d+) us/.exec(first)!;
  assert(Number(micros) >= 150 && Number(micros) <= 200, first);
  program.now += 0.1;
  program.policy.returned(program.now, 0);
  program.policy.turned(program.now);
  const rest = program.decide({});
  const [, left] = /wait for 1, (\d+) us/.exec(rest)!;
  assert(Math.abs(Number(micros) - Number(left) - 100) <= 2, rest);
  program.now += 0.1;
  program.policy.returned(program.now, 0);
  program.policy.turned(program.now);
  assertEquals(program.decide({}), "reap");
});

Deno.test("WaitPolicy.decide() leaves slow operations to the reaper at once", () => {
  const program = new Program();
  program.run(SYNC_FULL, 5, 40);
  program.start(SYNC_FULL, 1);
  program.policy.submitted(program.now);
  program.policy.turned(program.now);
  assertEquals(program.decide({}), "reap");
});

Deno.test("WaitPolicy.decide() never waits while the program is busy, and never at all with wait: 'reaper'", () => {
  const busy = new Program();
  for (let i = 0; i < 20; i++) {
    busy.policy.own(busy.now);
    busy.policy.turned(busy.now += 1);
  }
  const reaper = new Program("reaper");
  assert(!reaper.policy.mayWait);
  reaper.run(READ, 0.06, 20);
  for (const program of [busy, reaper]) {
    program.start(READ, 1);
    program.policy.submitted(program.now);
    assertEquals(program.decide({ queuedCount: 1 }), "poll");
    program.policy.turned(program.now);
    assertEquals(program.decide({}), "reap");
  }
});
