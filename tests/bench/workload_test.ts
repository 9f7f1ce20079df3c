/**
 * The workload of the comparisons: order, latency from the time when a batch was due, shared syncs.
 */
import { assertEquals } from "@std/assert";
import { P50 } from "../../bench/compare/measure.ts";
import { SharedFile } from "../../bench/compare/references/synced_file.ts";
import {
  BATCH_BYTES,
  type Stream,
  work,
  workUnlimited,
} from "../../bench/compare/workload.ts";

const LATE_MS = 40;

/** A stream that takes this long for a batch, one after the other. */
function slowStream(): Stream & { accepted: number; received: number } {
  let last: Promise<void> = Promise.resolve();
  let durable = 0;
  const stream = {
    accepted: 0,
    received: 0,
    batchLogBytes: 7,
    consumers: [async () => {
      const wanted = ++stream.received;
      while (durable < wanted) await new Promise((done) => setTimeout(done, 1));
    }],
    produce(accepted: () => void) {
      accepted();
      stream.accepted++;
      return last = last.then(async () => {
        await new Promise((done) => setTimeout(done, LATE_MS));
        durable++;
      });
    },
    close: () => Promise.resolve(),
  };
  return stream;
}

Deno.test("work() counts the latency of a batch from when it was due", async () => {
  const stream = slowStream();
  // Each of two producers has a batch due every 20 ms, and a batch takes 40 ms, so they fall
  // behind.
  const run = await work([stream], {
    producers: 2,
    bytesPerSecond: 100 * BATCH_BYTES,
    ms: 100,
  });
  assertEquals([stream.accepted, stream.received, run.operations], [
    10,
    10,
    10,
  ]);
  // The middle one of ten is due after 50 ms and durable after 200 ms.
  const late = 3 * LATE_MS * 1e3;
  assertEquals(P50.of(run) > late, true, `${P50.of(run)} us`);
  assertEquals(P50.of(run.consumers) > late, true, `${P50.of(run.consumers)}`);
});

Deno.test("workUnlimited() counts the bytes of the files", async () => {
  const stream = slowStream();
  const run = await workUnlimited([stream], 2, 2 * LATE_MS);
  assertEquals(run.operations, stream.accepted);
  assertEquals(run.bytes, run.operations * 7);
});

/** A file whose syncs end when the test says so. */
class SteppedFile {
  readonly written: number[] = [];
  readonly syncs: PromiseWithResolvers<void>[] = [];

  write(bytes: Uint8Array): Promise<number> {
    this.written.push(bytes[0]!);
    return Promise.resolve(bytes.length);
  }

  syncData(): Promise<void> {
    const sync = Promise.withResolvers<void>();
    this.syncs.push(sync);
    return sync.promise;
  }
}

/** Lets the callbacks of all resolved promises run. */
function turn(): Promise<void> {
  return new Promise((done) => setTimeout(done, 0));
}

Deno.test("SharedFile writes in order, and a sync covers only what was written before it", async () => {
  const stepped = new SteppedFile();
  const file = new SharedFile(stepped as unknown as Deno.FsFile);
  const done: number[] = [];
  const append = (byte: number): Promise<void> =>
    file.append(new Uint8Array(10).fill(byte)).then(() => {
      done.push(byte);
    });
  const first = append(1);
  await turn();
  const others = [append(2), append(3)];
  await turn();
  assertEquals([stepped.written, stepped.syncs.length], [[1, 2, 3], 1]);

  stepped.syncs[0]!.resolve();
  await first;
  await turn();
  assertEquals([done, file.durableBytes, stepped.syncs.length], [[1], 10, 2]);

  stepped.syncs[1]!.resolve();
  await Promise.all(others);
  assertEquals([done, file.durableBytes, stepped.syncs.length], [
    [1, 2, 3],
    30,
    2,
  ]);
});
