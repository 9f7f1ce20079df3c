/**
 * Tails and streams give messages as they arrive, from a writer in the isolate and from another
 * process.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Log,
  LogReader,
  OffsetOutOfRangeError,
} from "../../../lib/log/mod.ts";
import { type MessageBatch, PoisonedError } from "../../../lib/segment/mod.ts";
import { SeededRandom, SimulatedDisk } from "@basalt/io/testing";
import { ALL } from "../../permissions.ts";
import {
  appendSome,
  KIB,
  lines,
  MIB,
  onEachPlace,
  openLog,
  payload,
  type Place,
  quiet,
} from "../_support.ts";
import {
  assertBytes,
  diskWith,
  filesOf,
  make,
  on,
  ownerFile,
} from "../recovery/_support.ts";

function readerOf({ dir, storage, pool }: Place): LogReader {
  return new LogReader(dir, { storage, pool });
}

const lengthOf = (offset: number) => (offset * 997) % 5000;

/** Checks the messages of a batch and returns the offset after it. */
function checked(batch: MessageBatch, expected: number): number {
  assertEquals(batch.firstOffset, expected);
  for (let i = 0; i < batch.count; i++) {
    const offset = expected + i;
    assertEquals(batch.offset(i), offset);
    assertBytes(batch.payload(i), payload(offset, lengthOf(offset)));
  }
  return expected + batch.count;
}

onEachPlace(
  "Log.tail() at any speed gives every message once, in order, while the log is written, flushed and rolled",
  async (place) => {
    const log = await openLog(place, {
      segmentBytes: 60 * KIB,
      blockBytes: 8 * KIB,
      prepareBytes: 100 * KIB,
    });
    const total = 600;
    const starts = [0, 0, 0, 150, 0, 0];
    const batches: number[] = [];
    const follow = async (
      number: number,
      tail: AsyncIterable<MessageBatch>,
      check: (batch: MessageBatch) => void = () => {},
    ): Promise<number> => {
      let next = starts[number]!;
      batches[number] = 0;
      for await (using batch of tail) {
        check(batch);
        batches[number]!++;
        next = checked(batch, next);
        if (number % 3 === 1) {
          await new Promise((resolve) => setTimeout(resolve, 3));
        }
      }
      return next;
    };
    const reader = readerOf(place);
    const tailing = [
      follow(0, log.tail()),
      follow(1, log.tail()),
      follow(2, log.tail({ durable: true }), (batch) => {
        assert(batch.nextOffset <= log.durableOffset);
      }),
      follow(4, reader.tail({ count: total })),
      follow(5, log.stream({ follow: true, durable: true })),
    ];
    const random = new SeededRandom(1);
    while (log.nextOffset < total) {
      if (log.nextOffset === 150) {
        // Still in memory. Messages before `from` are not given.
        tailing.push(follow(3, log.tail({ from: 150 })));
      }
      for (let i = random.below(6); i >= 0; i--) {
        log.append(payload(log.nextOffset, lengthOf(log.nextOffset)));
        if (log.nextOffset === 150 || log.nextOffset === total) break;
      }
      await log.flush({ durability: random.chance(0.5) ? "none" : "data" });
    }
    await log.close();
    for (const end of await Promise.all(tailing)) assertEquals(end, total);
    // The slow tails had more messages in a batch.
    assert(batches[1]! < batches[0]!, batches.join());
  },
);

Deno.test("Log.tail() does not use the disk while it waits, and wakes at the next flush", async () => {
  const disk = new SimulatedDisk();
  await on(disk, async (place) => {
    const log = await openLog(place);
    appendSome(log, 3, 100);
    await log.flush();
    const tail = log.tail();
    (await tail.next()).value!.drop();
    const next = tail.next();
    await quiet(disk);
    const before = disk.trace.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    assertEquals(disk.trace.length, before);
    appendSome(log, 2, 100);
    await log.flush({ durability: "none" });
    using batch: MessageBatch = (await next).value!;
    assertEquals([batch.firstOffset, batch.count], [3, 2]);
    // Another hundred flushes are given once each, in order.
    for (let i = 0; i < 100; i++) {
      appendSome(log, 1, 100);
      await log.flush();
    }
    for (let offset = 5; offset < 105;) {
      using more: MessageBatch = (await tail.next()).value!;
      assertEquals(more.firstOffset, offset);
      offset = more.nextOffset;
    }
    await tail.return!();
    await log.close();
  });
});

Deno.test("Log.tail() from the next offset reads no more of the log than its last block", async () => {
  const disk = new SimulatedDisk();
  await on(disk, async (place) => {
    const log = await openLog(place, { blockBytes: 256 * KIB });
    appendSome(log, 4000, 1000);
    await log.flush();
    const before = disk.trace.length;
    const tail = log.tail({ from: log.nextOffset });
    const next = tail.next();
    appendSome(log, 1, 10);
    await log.flush();
    using batch: MessageBatch = (await next).value!;
    assertEquals([batch.firstOffset, batch.count], [4000, 1]);
    const reads = disk.trace.slice(before).filter(({ kind }) =>
      kind === "read"
    );
    assert(reads.length <= 2, `${reads.length} reads`);
    await tail.return!();
    await log.close();
  });
});

Deno.test("Log.tail({ durable }) gives nothing that could be lost", async () => {
  const disk = new SimulatedDisk();
  await on(disk, async (place) => {
    const log = await openLog(place);
    appendSome(log, 3, 100);
    await log.flush({ durability: "none" });
    const tail = log.tail({ durable: true });
    let given = false;
    const next = tail.next().then(({ value }) => {
      given = true;
      return value!;
    });
    appendSome(log, 1, 100);
    await log.flush({ durability: "none" });
    await quiet(disk);
    assertEquals([given, log.writtenOffset], [false, 4]);
    await log.flush();
    using batch = await next;
    assertEquals(batch.firstOffset, 0);
    for (let offset = batch.nextOffset; offset < 4;) {
      using more: MessageBatch = (await tail.next()).value!;
      assertEquals(more.firstOffset, offset);
      offset = more.nextOffset;
    }
    await tail.return!();
    await log.close();
  });
});

onEachPlace(
  "Log.tail() that waits ends with the reason of its signal, by leaving, and when its count is reached",
  async (place) => {
    const log = await openLog(place);
    appendSome(log, 3, 100);
    await log.flush();
    const { pool } = place;
    const { inUseBytes } = pool.stats();
    for (const source of [log, readerOf(place)]) {
      const abort = new AbortController();
      const reason = new Error("enough");
      const tail = source.tail({ signal: abort.signal });
      (await tail.next()).value!.drop();
      const waiting = tail.next();
      setTimeout(() => abort.abort(reason), 20);
      assertEquals(await waiting.catch((error) => error), reason);
      assertEquals((await tail.next()).done, true);

      const late = source.tail({ signal: abort.signal });
      assertEquals(await late.next().catch((error) => error), reason);

      const left = source.tail();
      (await left.next()).value!.drop();
      const never = left.next();
      assertEquals((await left.return!()).done, true);
      assertEquals((await never).done, true);

      let count = 0;
      for await (using batch of source.tail({ count: 2 })) count += batch.count;
      assertEquals(count, 2);
      for await (using _ of source.tail()) break;
      assertEquals(pool.stats().inUseBytes, inUseBytes);
    }
    await log.close();
  },
);

onEachPlace(
  "Log.stream() reads on demand, and returns all memory when it is cancelled, waiting or not",
  async (place) => {
    const log = await openLog(place, { segmentBytes: 20 * KIB });
    appendSome(log, 100, 1000);
    await log.flush();
    const { pool } = place;
    const { inUseBytes } = pool.stats();
    for (const source of [log, readerOf(place)]) {
      const lazy = source.stream();
      await new Promise((resolve) => setTimeout(resolve, 5));
      assertEquals(pool.stats().inUseBytes, inUseBytes);
      const chunks = lazy.getReader();
      using first = (await chunks.read()).value!;
      assertEquals(first.firstOffset, 0);
      // A chunk that is under way is dropped.
      const pending = chunks.read();
      await chunks.cancel();
      (await pending).value?.drop();
      first.drop();
      assertEquals(pool.stats().inUseBytes, inUseBytes);

      let count = 0;
      for await (using batch of source.stream()) count += batch.count;
      assertEquals(count, 100);

      const following = source.stream({ follow: true, from: 100 }).getReader();
      const waiting = following.read();
      await following.cancel();
      assertEquals((await waiting).done, true);
      assertEquals(pool.stats().inUseBytes, inUseBytes);
    }
    await log.close();
  },
);

Deno.test("Log.tail() on a failing disk gives what was written, then the log's error", async () => {
  const disk = new SimulatedDisk();
  await on(disk, async (place) => {
    const log = await openLog(place);
    appendSome(log, 3, 100);
    await log.flush();
    let read = 0;
    const tailing = assertRejects(async () => {
      for await (using batch of log.tail()) read += batch.count;
    }, PoisonedError);
    await quiet(disk);
    assertEquals(read, 3);
    appendSome(log, 1, 100);
    disk.onOperation(({ kind, path }) =>
      kind === "write" && path.endsWith(".log") ? { error: "EIO" } : undefined
    );
    await assertRejects(() => log.flush(), PoisonedError);
    await tailing;
    await assertRejects(() => log.close(), PoisonedError);
  });
});

/** Writes so much that a background checkpoint follows, and waits until it has ended. */
async function flushedFar(log: Log, disk: SimulatedDisk): Promise<void> {
  appendSome(log, 13, MIB);
  await log.flush({ durability: "none" });
  await quiet(disk);
}

Deno.test("Log.tail({ durable }) gives what a background checkpoint made durable", async () => {
  const disk = new SimulatedDisk();
  await on(disk, async (place) => {
    const log = await openLog(place);
    const tail = log.tail({ durable: true });
    let given = 0;
    const first = tail.next().then(({ value }) => {
      given = value!.nextOffset;
      value!.drop();
    });
    await flushedFar(log, disk);
    assertEquals(log.durableOffset, 13);
    assert(given > 0, "the tail was not woken");
    await first;
    await tail.return!();
    await log.close();
  });
});

Deno.test("Log.tail() ends with PoisonedError after a failed background checkpoint; nothing is prepared or tried after it", async () => {
  for (const kind of ["write", "sync"] as const) {
    const disk = new SimulatedDisk();
    await on(disk, async (place) => {
      const log = await openLog(place, { prepareBytes: 4 * MIB });
      let failedAt: number | undefined;
      disk.onOperation((operation) => {
        if (operation.kind !== kind || !operation.path.endsWith(".index")) {
          return;
        }
        failedAt ??= operation.number;
        return { error: "EIO" };
      });
      const ends = [false, true].map(async (durable) => {
        let offset = 0;
        try {
          for await (using batch of log.tail({ durable })) {
            offset = batch.nextOffset;
          }
        } catch (error) {
          return { offset, error };
        }
        return { offset, error: "closed" };
      });
      await flushedFar(log, disk);
      const told: unknown[] = [];
      for (const end of ends) void end.then((each) => told.push(each));
      await quiet(disk);
      assert(failedAt !== undefined, "no checkpoint");
      const changes = lines(disk, failedAt, ["write", "sync", "preallocate"]);
      assertEquals(changes, []);
      const poison = await assertRejects(() => log.flush(), PoisonedError);
      assertEquals(poison.durableOffset, 13);
      assertEquals(told, [
        { offset: 13, error: poison },
        { offset: 13, error: poison },
      ]);
      assertEquals(
        await assertRejects(() => log.close(), PoisonedError),
        poison,
      );
    });
  }
});

Deno.test("Log.tail() that a truncation overtakes is OffsetOutOfRangeError with the first offset", async () => {
  await on(new SimulatedDisk(), async (place) => {
    const log = await openLog(place, { segmentBytes: 10 * KIB });
    for (const source of [log, readerOf(place)] as const) {
      const from = log.nextOffset;
      appendSome(log, 30, 936);
      await log.flush();
      const tail = source.tail({ from });
      (await tail.next()).value!.drop();
      appendSome(log, 30, 936);
      await log.flush();
      const first = await log.truncateBefore(log.nextOffset);
      const error = await assertRejects(async () => {
        for (;;) (await tail.next()).value!.drop();
      }, OffsetOutOfRangeError);
      assertEquals(error.firstOffset, first);
    }
    await log.close();
  });
});

Deno.test("LogReader.tail() polls less and less often while nothing arrives, and finds permanent damage", async () => {
  const made = make(0, [100, 200, 300]);
  const files = filesOf(made);
  const name = Object.keys(files).find((each) => each.endsWith(".log"))!;
  const bytes = new Uint8Array(100 * KIB);
  bytes.set(made.log.subarray(0, made.starts[2]!));
  const writer = ownerFile(2);
  const disk = diskWith({ ...files, [name]: bytes, writer });
  await on(disk, async (place) => {
    const lock = disk.lock(place.dir)!;
    const tail = readerOf(place).tail();
    (await tail.next()).value!.drop();
    const before = disk.trace.length;
    const began = disk.timeMicros;
    const next = tail.next();
    let over = false;
    next.finally(() => over = true).catch(() => {});
    while (disk.timeMicros - began < 10_000_000 && !over) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    // On a busy machine much more simulated time passes in a turn.
    const seconds = (disk.timeMicros - began) / 1_000_000;
    const looks = disk.trace.slice(before).filter(({ kind, path }) =>
      kind === "read" && path.endsWith(".log")
    ).length;
    assert(
      looks > 5 * seconds && looks < 30 + 10 * seconds,
      `${looks} looks in ${seconds} s`,
    );
    // The owner file claims that missing messages are durable.
    disk.poke(`${place.dir}/writer`, 0, ownerFile(3));
    assertEquals(
      (await next.catch((error) =>
        error
      )).name,
      "CorruptSegmentError",
    );
    lock.release();
  });
});

Deno.test(
  "LogReader.tail() of another process's log gives what it writes until it closes",
  {
    ignore: !ALL,
  },
  async () => {
    const dir = Deno.makeTempDirSync({ prefix: "basalt_tail_" });
    try {
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--quiet",
          "--allow-all",
          new URL("writer_child.ts", import.meta.url).pathname,
          dir,
          "500",
        ],
        stdout: "inherit",
        stderr: "inherit",
      }).spawn();
      // The directory has a log once the child has opened it.
      while (!(await exists(`${dir}/writer`))) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      let next = 0;
      for await (using batch of new LogReader(dir).tail({ count: 500 })) {
        next = checked(batch, next);
      }
      assertEquals(next, 500);
      assertEquals((await child.status).code, 0);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}
