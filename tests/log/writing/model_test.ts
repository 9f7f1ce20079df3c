/** Random calls of a log, compared with a list of messages. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { BackpressureError, type Log } from "@basalt/io";
import { SimulatedDisk } from "@basalt/io/testing";
import { FILES } from "../../permissions.ts";
import {
  at,
  BATCH,
  batchesOf,
  DiskPlace,
  drain,
  drainSync,
  faultsOfClosed,
  FRAME,
  KIB,
  openLog,
  openLogSync,
  payload,
  type Place,
  type PlainBatch,
  type Read,
  SimulatedPlace,
} from "../_support.ts";

const SEGMENT_BYTES = 12 * KIB;

type Call =
  | { kind: "append"; size: number }
  | { kind: "batch"; sizes: number[] }
  | { kind: "flush"; durability: "none" | "data" | "full"; wait: boolean }
  | { kind: "whenDurable"; back: number; wait: boolean }
  | { kind: "truncate"; part: number }
  | { kind: "reopen" }
  | { kind: "pause" };

/** Sizes of small messages, and of messages as large as a block, as a segment, and larger. */
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(300) },
  { weight: 3, arbitrary: fc.integer({ min: 3900, max: 4200 }) },
  { weight: 1, arbitrary: fc.integer({ min: 11_000, max: 30_000 }) },
);

const call: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("append" as const), size }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("batch" as const),
      sizes: fc.array(size, { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("flush" as const),
      durability: fc.constantFrom("none" as const, "data" as const, "full"),
      wait: fc.boolean(),
    }) as fc.Arbitrary<Call>,
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("whenDurable" as const),
      back: fc.nat(5),
      wait: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("truncate" as const),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "pause" as const }) },
);

/** What one call appended. */
interface Unit {
  first: number;
  count: number;
  isBatch: boolean;
}

/** What a log should be: the sizes of its messages, and the calls that appended them. */
class Model {
  firstOffset = 0;
  /** The size of each payload, by offset. */
  readonly sizes: number[] = [];
  readonly units: Unit[] = [];

  get nextOffset(): number {
    return this.sizes.length;
  }

  append(sizes: readonly number[], isBatch: boolean): void {
    this.units.push({ first: this.nextOffset, count: sizes.length, isBatch });
    this.sizes.push(...sizes);
  }

  /** The log was flushed before, so all segments but the last can be removed. */
  truncate(place: Place, offset: number): number {
    const firsts = segmentsOf(place).map(({ first }) => first);
    return this.firstOffset = firsts.findLast((first) => first <= offset) ??
      this.firstOffset;
  }

  /** Returns the bytes of the frames of messages. */
  frames(from: number, to: number): number {
    return this.sizes.slice(from, to)
      .reduce((sum, size) => sum + FRAME + size, 0);
  }
}

/** Returns the segments of a place with their batches. */
function segmentsOf(place: Place): { first: number; batches: PlainBatch[] }[] {
  return place.names().filter((name) => name.endsWith(".log")).map((name) => ({
    first: Number(name.slice(0, -4)),
    batches: batchesOf(place.bytes(name)),
  }));
}

/**
 * Checks the files of a closed log. Batches must be those of the calls, and a segment may end only
 * where it must.
 */
function checkFiles(model: Model, place: Place): void {
  assertEquals(faultsOfClosed(place), []);
  const segments = segmentsOf(place);
  const batches = segments.flatMap(({ batches }) => batches);
  for (const { first, count, isBatch } of model.units) {
    if (!isBatch || first < model.firstOffset) continue;
    const batch = batches.find(({ offset }) => offset === first);
    assertEquals(batch?.count, count, `the batch at ${first}`);
  }
  segments.forEach(({ first, batches }, i) => {
    const end = batches.at(-1)?.end ?? 0;
    assert(end <= SEGMENT_BYTES || batches.length === 1, `${first}: ${end}`);
    const next = segments[i + 1];
    if (next === undefined) return;
    const unit = model.units.find((each) => each.first === next.first)!;
    const frames = model.frames(unit.first, unit.first + unit.count);
    assert(end + BATCH + frames > SEGMENT_BYTES, `${first} ends at ${end}`);
  });
}

/** Checks the messages that were read: all from the first offset up to `end`, exclusive. */
function checkRead(model: Model, found: readonly Read[], end: number): void {
  assertEquals(found.length, end - model.firstOffset);
  let time = 0;
  found.forEach((each, i) => {
    const offset = model.firstOffset + i;
    assertEquals(each.offset, offset);
    assertEquals(each.payload, payload(offset, model.sizes[offset]!));
    assert(each.timestamp >= time);
    time = each.timestamp;
  });
}

function checkState(model: Model, log: Log): void {
  assertEquals(log.nextOffset, model.nextOffset);
  assertEquals(log.firstOffset, model.firstOffset);
  assert(log.durableOffset <= log.writtenOffset);
  assert(log.writtenOffset <= log.nextOffset);
  const { appendedMessages, pendingBytes } = log.stats();
  assert(appendedMessages <= model.nextOffset);
  // At least one batch header, and at most one for each message.
  const count = model.nextOffset - log.writtenOffset;
  const frames = model.frames(log.writtenOffset, model.nextOffset);
  assert(pendingBytes >= frames + (count > 0 ? BATCH : 0), `${pendingBytes}`);
  assert(pendingBytes <= frames + count * BATCH, `${pendingBytes}`);
}

/** Appends the payloads of the next offsets. Returns `undefined` if there is no room. */
function tryAppend(
  log: Log,
  model: Model,
  sizes: readonly number[],
  batch: boolean,
): boolean {
  const first = model.nextOffset;
  const payloads = sizes.map((size, i) => payload(first + i, size));
  try {
    const offset = batch ? log.appendBatch(payloads) : log.append(payloads[0]!);
    assertEquals(offset, first);
  } catch (error) {
    if (!(error instanceof BackpressureError)) throw error;
    return false;
  }
  model.append(sizes, batch);
  return true;
}

const OPTIONS = { segmentBytes: SEGMENT_BYTES, bufferBytes: 128 * KIB };

async function runAsync(place: Place, calls: readonly Call[]): Promise<void> {
  const options = { ...OPTIONS, prepareBytes: 64 * KIB };
  const model = new Model();
  let log = await openLog(place, options);
  let waiting: Promise<unknown>[] = [];
  for (const each of calls) {
    switch (each.kind) {
      case "append":
      case "batch": {
        const batch = each.kind === "batch";
        const sizes = each.kind === "batch" ? each.sizes : [each.size];
        while (!tryAppend(log, model, sizes, batch)) await log.ready();
        break;
      }
      case "flush": {
        const { nextOffset } = log;
        const flushed = log.flush({ durability: each.durability }).then(() => {
          assert(log.writtenOffset >= nextOffset);
          assert(each.durability === "none" || log.durableOffset >= nextOffset);
        });
        waiting.push(flushed);
        if (each.wait) await flushed;
        break;
      }
      case "whenDurable": {
        const offset = log.nextOffset - 1 - each.back;
        if (offset < 0) break;
        const durable = log.whenDurable(offset)
          .then(() => assert(log.durableOffset > offset));
        waiting.push(durable);
        if (each.wait) await durable;
        break;
      }
      case "truncate": {
        await log.flush();
        const offset = Math.floor(each.part * log.nextOffset);
        const first = model.truncate(place, offset);
        assertEquals(await log.truncateBefore(offset), first);
        break;
      }
      case "reopen":
        await log.close();
        await Promise.all(waiting);
        waiting = [];
        assertEquals(faultsOfClosed(place), []);
        log = await openLog(place, options);
        break;
      case "pause":
        await new Promise((resolve) => setTimeout(resolve, 0));
    }
    checkState(model, log);
  }
  await Promise.all(waiting);
  checkRead(model, await drain(log), log.writtenOffset);
  await log.flush();
  checkRead(model, await drain(log), model.nextOffset);
  assertEquals(log.stats().segments, segmentsOf(place).length);
  await log.close();
  checkFiles(model, place);
}

function runSync(place: Place, calls: readonly Call[]): void {
  const model = new Model();
  let log = openLogSync(place, OPTIONS);
  for (const each of calls) {
    switch (each.kind) {
      case "append":
      case "batch": {
        const batch = each.kind === "batch";
        const sizes = each.kind === "batch" ? each.sizes : [each.size];
        while (!tryAppend(log, model, sizes, batch)) log.flushSync();
        break;
      }
      case "flush":
        log.flushSync({ durability: each.durability });
        assertEquals(log.writtenOffset, model.nextOffset);
        if (each.durability !== "none") {
          assertEquals(log.durableOffset, model.nextOffset);
        }
        break;
      case "truncate": {
        log.flushSync();
        const offset = Math.floor(each.part * log.nextOffset);
        const first = model.truncate(place, offset);
        assertEquals(log.truncateBeforeSync(offset), first);
        break;
      }
      case "reopen":
        log.closeSync();
        assertEquals(faultsOfClosed(place), []);
        log = openLogSync(place, OPTIONS);
        break;
      default:
        checkRead(model, drainSync(log), log.writtenOffset);
    }
    checkState(model, log);
  }
  log.flushSync();
  checkRead(model, drainSync(log), model.nextOffset);
  assertEquals(log.stats().segments, segmentsOf(place).length);
  log.closeSync();
  checkFiles(model, place);
}

const calls = fc.array(call, { minLength: 1, maxLength: 60 });

for (const mode of ["async", "sync"]) {
  Deno.test(`Log: random calls give the same as a list of messages, ${mode} (simulated)`, async () => {
    await fc.assert(
      fc.asyncProperty(
        calls,
        fc.nat(),
        (calls, seed) =>
          at(
            new SimulatedPlace({ seed }),
            (place) =>
              mode === "sync" ? runSync(place, calls) : runAsync(place, calls),
          ),
      ),
      { numRuns: 150, seed: 1 },
    );
  });

  Deno.test(
    `Log: random calls give the same as a list of messages, ${mode} (disk)`,
    {
      ignore: !FILES,
    },
    async () => {
      await fc.assert(
        fc.asyncProperty(
          calls,
          fc.constantFrom("prefer" as const, "never" as const),
          (calls, direct) =>
            at(
              new DiskPlace(direct),
              (place) =>
                mode === "sync"
                  ? runSync(place, calls)
                  : runAsync(place, calls),
            ),
        ),
        { numRuns: 10, seed: 2 },
      );
    },
  );
}

/** Runs calls until a power cut. Returns how far the log was durable then. */
async function runToCrash(
  place: SimulatedPlace,
  model: Model,
  calls: readonly Call[],
  number: number,
): Promise<number> {
  const log = await openLog(place, { ...OPTIONS, prepareBytes: 64 * KIB });
  place.storage.failAt(place.storage.trace.length + number, { crash: true });
  const ignore = () => {};
  try {
    for (const each of calls) {
      switch (each.kind) {
        case "append":
          tryAppend(log, model, [each.size], false);
          break;
        case "batch":
          tryAppend(log, model, each.sizes, true);
          break;
        case "flush": {
          const flushed = log.flush({ durability: each.durability });
          if (each.wait) await flushed;
          else flushed.catch(ignore);
          break;
        }
        case "whenDurable": {
          if (log.nextOffset === 0) break;
          const durable = log.whenDurable(log.nextOffset - 1);
          if (each.wait) await durable;
          else durable.catch(ignore);
          break;
        }
        case "truncate": {
          const offset = Math.floor(each.part * log.durableOffset);
          model.firstOffset = await log.truncateBefore(offset);
          break;
        }
        default:
          await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }
  } catch { /* The crash, as this call shows it. */ }
  const { durableOffset } = log;
  place.storage.crash();
  await log.close().catch(ignore);
  return durableOffset;
}

Deno.test("Log: a power cut at any moment of random calls loses nothing that was durable, and adds nothing", async () => {
  await fc.assert(
    fc.asyncProperty(
      calls,
      fc.nat(),
      fc.integer({ min: 1, max: 200 }),
      async (calls, seed, number) => {
        const model = new Model();
        const disk = new SimulatedDisk({ seed });
        const durable = await at(
          new SimulatedPlace(disk),
          (place) => runToCrash(place, model, calls, number),
        );
        for (const choice of ["none", "all", "random", "random"] as const) {
          await at(new SimulatedPlace(disk.crash(choice)), async (place) => {
            const log = await openLog(place, OPTIONS);
            const { firstOffset, nextOffset } = log;
            assert(nextOffset >= durable && nextOffset <= model.nextOffset);
            assert(firstOffset >= model.firstOffset && firstOffset <= durable);
            const found = Object.assign(new Model(), model, {
              firstOffset,
            }) as Model;
            checkRead(found, await drain(log), nextOffset);
            // A batch is there whole or not at all.
            const half = model.units.find(({ first, count, isBatch }) =>
              isBatch && first < nextOffset && first + count > nextOffset
            );
            assertEquals(half, undefined, `ends at ${nextOffset}`);
            assertEquals(await log.appendDurable("next"), nextOffset);
            await log.close();
            assertEquals(faultsOfClosed(place), []);
          });
        }
      },
    ),
    { numRuns: 100, seed: 3 },
  );
});
