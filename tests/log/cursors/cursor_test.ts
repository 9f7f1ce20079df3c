/** Cursors: what a consumer has committed, on every place, async and sync. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Cursor,
  type Log,
  LogReader,
  OffsetOutOfRangeError,
} from "../../../lib/log/mod.ts";
import { LockedError } from "../../../lib/storage/mod.ts";
import { SimulatedDisk } from "@basalt/io/testing";
import { ALL } from "../../permissions.ts";
import {
  appendSome,
  at,
  DiskPlace,
  onEachPlace,
  openLog,
  openLogSync,
  type Place,
  quiet,
  SimulatedPlace,
} from "../_support.ts";

/** Makes a log with this many durable messages. */
async function withMessages(place: Place, count: number): Promise<Log> {
  const log = await openLog(place);
  appendSome(log, count, 100);
  await log.flush();
  return log;
}

/** Reads with a cursor and commits each batch. Returns the offsets that were read. */
async function consume(cursor: Cursor): Promise<number[]> {
  const offsets: number[] = [];
  for await (using batch of cursor.batches({ follow: false })) {
    for (const { offset } of batch) offsets.push(offset);
    await cursor.commit(batch.nextOffset);
  }
  return offsets;
}

/** Makes the next write of a cursor fail, once. */
function failNextWrite(disk: SimulatedDisk): void {
  const remove = disk.onOperation(({ kind, path }) => {
    if (kind !== "write" || !path.includes("/cursors/")) return;
    remove();
    return { error: "EIO" };
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

onEachPlace(
  "Cursor continues where its last owner committed",
  async (place) => {
    await using log = await withMessages(place, 10);
    {
      await using cursor = await log.cursor("a");
      assertEquals(cursor.position, 0);
      await cursor.commit(4);
      assertEquals(cursor.position, 4);
    }
    appendSome(log, 5, 100);
    await log.flush();
    {
      await using cursor = await log.cursor("a", { from: "next" });
      assertEquals(cursor.position, 4);
      assertEquals(await consume(cursor), range(4, 15));
      assertEquals(await consume(cursor), []);
    }
    using cursor = log.cursorSync("a");
    assertEquals(cursor.position, 15);
  },
);

onEachPlace("Log.cursor() uses 'from' for a new cursor only", (place) => {
  using log = openLogSync(place);
  appendSome(log, 6, 50);
  log.flushSync();
  for (
    const [name, from, expected] of [
      ["first", "first", 0],
      ["next", "next", 6],
      ["three", 3, 3],
      ["end", 6, 6],
    ] as const
  ) {
    using cursor = log.cursorSync(name, { from });
    assertEquals(cursor.position, expected);
  }
  using again = log.cursorSync("three", { from: 5 });
  assertEquals(again.position, 3);
});

onEachPlace(
  "Log.cursor() refuses a 'from' that is not durable",
  async (place) => {
    await using log = await withMessages(place, 2);
    log.append("in memory");
    const error = await assertRejects(
      () => log.cursor("a", { from: 3 }),
      OffsetOutOfRangeError,
    );
    assertEquals([error.offset, error.firstOffset, error.nextOffset], [
      3,
      0,
      2,
    ]);
    assertEquals(await log.cursors(), []);
  },
);

onEachPlace(
  "Cursor.commitSync() and seekSync() do the same as commit() and seek()",
  (place) => {
    using log = openLogSync(place);
    appendSome(log, 10, 100);
    log.flushSync();
    using cursor = log.cursorSync("a");
    cursor.commitSync(7);
    assertEquals(cursor.position, 7);
    cursor.commitSync(3);
    assertEquals(cursor.position, 7, "never back");
    cursor.seekSync("first");
    assertEquals(cursor.position, 0);
    cursor.seekSync("next");
    assertEquals([cursor.position, cursor.lagSync().messages], [10, 0]);
    cursor.seekSync(5);
    assertEquals(cursor.position, 5);
    assertThrows(() => cursor.seekSync(11), OffsetOutOfRangeError);
    assertThrows(() => cursor.commitSync(11), OffsetOutOfRangeError);
    assertThrows(() => cursor.commitSync(-1), RangeError, "received -1");
    assertThrows(() => cursor.seekSync("last" as "next"), RangeError, "last");
    assertEquals(cursor.position, 5);
  },
);

onEachPlace("Cursor follows what becomes durable", async (place) => {
  const log = await withMessages(place, 2);
  const cursor = await log.cursor("a");
  const seen: number[] = [];
  const done = (async () => {
    for await (using batch of cursor) {
      for (const { offset } of batch) seen.push(offset);
      await cursor.commit(batch.nextOffset);
    }
  })();
  for (let i = 0; i < 5; i++) {
    await log.appendDurable("more");
    while (cursor.position < log.durableOffset) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  log.append("not durable");
  await cursor.close();
  await done;
  assertEquals(seen, range(0, 7));
  assertEquals(log.durableOffset, 7);
  await log.close();
});

onEachPlace("Cursor that follows ends with its log", async (place) => {
  const log = await withMessages(place, 3);
  await using cursor = await log.cursor("a");
  const reading = (async () => {
    for await (using batch of cursor) await cursor.commit(batch.nextOffset);
  })();
  log.append("the last");
  await log.close();
  await reading;
  assertEquals(cursor.position, 4);
});

onEachPlace(
  "Cursor.messages() with autoCommit commits each message when the next one is taken",
  async (place) => {
    await using log = await withMessages(place, 6);
    {
      await using cursor = await log.cursor("a", { follow: false });
      const messages = cursor.messages({ autoCommit: true });
      for await (const { offset } of messages) if (offset === 3) break;
    }
    {
      await using cursor = await log.cursor("a", { follow: false });
      // The message at which the consumer stopped is delivered again.
      assertEquals(cursor.position, 3);
      const offsets: number[] = [];
      for await (const message of cursor.messages({ autoCommit: true })) {
        offsets.push(message.offset);
      }
      assertEquals(offsets, [3, 4, 5]);
    }
    using cursor = log.cursorSync("a");
    assertEquals(cursor.position, 6);
  },
);

onEachPlace(
  "Cursor.messages() commits nothing without autoCommit",
  async (place) => {
    await using log = await withMessages(place, 3);
    await using cursor = await log.cursor("a", { follow: false });
    for await (const _ of cursor.messages());
    assertEquals(cursor.position, 0);
  },
);

onEachPlace(
  "Cursor.seek() moves an iteration that is under way",
  async (place) => {
    await using log = await withMessages(place, 4);
    await using cursor = await log.cursor("a");
    const batches = cursor.batches();
    const offsets: number[] = [];
    const take = async () => {
      using batch = (await batches.next()).value!;
      for (const { offset } of batch) offsets.push(offset);
    };
    await take();
    await cursor.commit(4);
    // The iteration waits for more, and gets the message at the new position.
    const next = take();
    await cursor.seek(2);
    await next;
    assertEquals(offsets, [0, 1, 2, 3, 2, 3]);
    assertEquals(cursor.position, 2);
    await batches.return!();
  },
);

onEachPlace(
  "Cursor.seek() is not undone by an earlier commit",
  async (place) => {
    await using log = await withMessages(place, 10);
    await using cursor = await log.cursor("a");
    await Promise.all([cursor.commit(8), cursor.seek(2), cursor.commit(4)]);
    assertEquals(cursor.position, 4);
    const commit = cursor.commit(9);
    cursor.seekSync("first");
    await commit;
    assertEquals(cursor.position, 0);
    await cursor.commit(5, { durable: false });
    await cursor.seek(1);
    await cursor.close();
    assertEquals(cursor.position, 1);
  },
);

onEachPlace("Cursor has one owner at a time", async (place) => {
  await using log = await withMessages(place, 3);
  await using first = await log.cursor("a");
  const reader = new LogReader(place.dir, place);
  for (const other of [log, reader]) {
    const error = await assertRejects(
      () => other.cursor("a", { lockTimeoutMs: 0 }),
      LockedError,
    );
    assertEquals(error.pid, Deno.pid);
    assertThrows(() => other.cursorSync("a"), LockedError);
  }
  // Any number of cursors, and one that was released.
  await using second = await log.cursor("b");
  await first.close();
  await using third = await reader.cursor("a");
  assertEquals([second.position, third.position], [0, 0]);
});

onEachPlace(
  "Log.cursor() waits for a lock until it is released",
  async (place) => {
    await using log = await withMessages(place, 3);
    const first = await log.cursor("a");
    const second = log.cursor("a");
    await first.close();
    await (await second).close();
  },
);

onEachPlace("Log.cursors() lists positions, lag and owners", async (place) => {
  await using log = await withMessages(place, 10);
  await using a = await log.cursor("a");
  await using b = await log.cursor("b", { from: 4 });
  await b.close();
  const cursors = await log.cursors();
  assertEquals(
    cursors.map(({ name, position, locked }) => [name, position, locked]),
    [["a", 0, true], ["b", 4, false]],
  );
  assertEquals(cursors.map(({ lag }) => lag.messages), [10, 6]);
  assertEquals(cursors[0]!.lag.bytes, log.stats().appendedBytes);
  assertEquals(await a.lag(), cursors[0]!.lag);
  assertEquals(cursors.map(({ owner }) => owner.pid), [Deno.pid, Deno.pid]);
});

onEachPlace(
  "Log.deleteCursor() ends a cursor, and its owner gets an error",
  async (place) => {
    await using log = await withMessages(place, 10);
    const cursor = await log.cursor("a");
    await cursor.commit(2);
    assertEquals(await log.deleteCursor("a"), true);
    assertEquals(await log.deleteCursor("a"), false);
    assertEquals(log.deleteCursorSync("b"), false);
    for (const offset of [2, 5]) {
      await assertRejects(
        () => cursor.commit(offset),
        Deno.errors.BadResource,
        "cursor 'a' of log '" + place.dir + "' was deleted",
      );
    }
    assertThrows(() => cursor.seekSync(1), Deno.errors.BadResource, "deleted");
    // The name is free, although the earlier owner still has its file open.
    await using next = await log.cursor("a");
    assertEquals(next.position, 0);
    await assertRejects(() => cursor.commit(5), Deno.errors.BadResource);
    await next.commit(1);
    await cursor.close();
    assertEquals(next.position, 1);
  },
);

onEachPlace("Cursor refuses everything once it is closed", async (place) => {
  await using log = await withMessages(place, 3);
  const cursor = await log.cursor("a");
  await cursor.close();
  await cursor.close();
  cursor.closeSync();
  const { BadResource } = Deno.errors;
  await assertRejects(() => cursor.commit(1), BadResource, "it is closed");
  await assertRejects(() => cursor.seek(1), BadResource, "it is closed");
  assertThrows(() => cursor.commitSync(1), BadResource, "it is closed");
  assertThrows(() => cursor.batches(), BadResource, "it is closed");
});

/** docs/format.md#cursor-name */
onEachPlace("Log.cursor() checks names", async (place) => {
  await using log = await withMessages(place, 1);
  for (
    const name of [
      "",
      ".",
      "..",
      "a/b",
      "ä",
      "a b",
      "~a",
      "x".repeat(256),
      "a\n",
    ]
  ) {
    await assertRejects(() => log.cursor(name), TypeError, "'name' must be");
  }
  const names = ["-", "...", "A.tmp", "meta", "x".repeat(255), "_9"];
  for (const name of names) (await log.cursor(name)).closeSync();
  const listed = (await log.cursors()).map(({ name }) => name);
  assertEquals(listed, names.toSorted());
});

/** docs/format.md#cursor-above */
onEachPlace(
  "Cursor above the end is an error, and its position stays",
  async (place) => {
    {
      await using log = await withMessages(place, 9);
      await using cursor = await log.cursor("a", { from: "next" });
      assertEquals(cursor.position, 9);
    }
    // An earlier state of the log is restored.
    const file = `${place.dir}/00000000000000000000`;
    for (const kind of ["log", "index"]) {
      await place.storage.remove(`${file}.${kind}`);
    }
    await place.storage.remove(`${place.dir}/meta`);
    await using log = await withMessages(place, 5);
    for (const other of [log, new LogReader(place.dir, place)]) {
      await using cursor = await other.cursor("a");
      const error = await assertRejects(
        () => Array.fromAsync(cursor.batches()),
        OffsetOutOfRangeError,
      );
      assertEquals([error.offset, error.firstOffset, error.nextOffset], [
        9,
        0,
        5,
      ]);
      await assertRejects(() => cursor.commit(5), OffsetOutOfRangeError);
      assertThrows(() => cursor.commitSync(3), OffsetOutOfRangeError);
      assertEquals(cursor.position, 9);
    }
    await using cursor = await log.cursor("a");
    await cursor.seek("first");
    assertEquals(await consume(cursor), range(0, 5));
  },
);

onEachPlace(
  "Cursor reports a truncation that passed it, and can be moved",
  async (place) => {
    await using log = await openLog(place, { segmentBytes: 4096 });
    for (let i = 0; i < 20; i++) {
      appendSome(log, 1, 1000);
      await log.flush();
    }
    await using cursor = await log.cursor("a");
    const first = await log.truncateBefore(12);
    assert(first > 0);
    for (let i = 0; i < 2; i++) {
      const error = await assertRejects(
        () => consume(cursor),
        OffsetOutOfRangeError,
      );
      assertEquals(error.firstOffset, first);
    }
    await cursor.seek("first");
    assertEquals(await consume(cursor), range(first, 20));
    await assertRejects(() => cursor.seek(0), OffsetOutOfRangeError);
    assertEquals(cursor.position, 20);
  },
);

onEachPlace(
  "LogReader.cursor() reads a closed log to its end",
  async (place) => {
    {
      await using _log = await withMessages(place, 8);
    }
    const reader = new LogReader(place.dir, place);
    await using cursor = await reader.cursor("a", { follow: false });
    assertEquals((await cursor.lag()).messages, 8);
    assertEquals(await consume(cursor), range(0, 8));
    assertEquals(await cursor.lag(), { messages: 0, bytes: 0 });
    await assertRejects(() => cursor.commit(9), OffsetOutOfRangeError);
    assertEquals((await reader.cursors())[0]!.position, 8);
    assertEquals(reader.deleteCursorSync("a"), true);
  },
);

Deno.test("Cursor.commit() completes all waiting calls with one write", async () => {
  await at(new SimulatedPlace(), async (place) => {
    await using log = await withMessages(place, 100);
    await using cursor = await log.cursor("a");
    const writes = () =>
      place.storage.trace.filter(({ kind, path }) =>
        kind === "write" && path.endsWith("/a")
      );
    const before = writes().length;
    const commits = range(1, 101).map((offset) => cursor.commit(offset));
    await Promise.all(commits);
    assertEquals(cursor.position, 100);
    assert(writes().length - before <= 2, `${writes().length - before} writes`);
    assertEquals(writes().at(-1)!.durability, "data");
    assertEquals(writes().at(-1)!.length, 4096);
  });
});

/** docs/format.md#cursor-turns */
Deno.test("Cursor.commit() alternates between the two slots, also across owners", async () => {
  await at(new SimulatedPlace(), async (place) => {
    await using log = await withMessages(place, 10);
    for (let owner = 0; owner < 3; owner++) {
      await using cursor = await log.cursor("a");
      await cursor.commit(cursor.position + 1);
      await cursor.commit(cursor.position + 1);
    }
    const positions = place.storage.trace.filter(({ kind, path }) =>
      kind === "write" && path.endsWith("/cursors/a")
    ).map(({ position }) => position);
    assertEquals(positions.length, 8);
    assertEquals(positions, positions.map((_, i) => i % 2 ? 0 : 4096));
  });
});

Deno.test("Cursor.commit({ durable: false }) is written within a second, or at close", async () => {
  await at(new SimulatedPlace(), async (place) => {
    await using log = await withMessages(place, 10);
    const cursor = await log.cursor("a");
    await cursor.commit(3, { durable: false });
    await cursor.commit(2, { durable: false });
    assertEquals(cursor.position, 0);
    await place.storage.delay(1000);
    await quiet(place.storage);
    assertEquals(cursor.position, 3);
    await cursor.commit(7, { durable: false });
    await cursor.close();
    assertEquals(cursor.position, 7);
    // A durable commit writes the pending one as well.
    const again = await log.cursor("a");
    await again.commit(9, { durable: false });
    await again.commit(8);
    assertEquals(again.position, 9);
    again.closeSync();
  });
});

/** docs/format.md#cursor-turns */
Deno.test("Cursor.commit() can be retried after a failed write", async () => {
  await at(new SimulatedPlace(), async (place) => {
    await using log = await withMessages(place, 10);
    await using cursor = await log.cursor("a");
    await cursor.commit(3);
    const { storage } = place;
    for (const sync of [false, true]) {
      failNextWrite(storage);
      const position = cursor.position;
      const failing = sync
        ? (async () => await cursor.commitSync(position + 1))()
        : cursor.commit(position + 1);
      const error = await assertRejects(() => failing) as { code?: string };
      assertEquals(error.code, "EIO");
      assertEquals(cursor.position, position);
      // Whatever reached the disk, the other slot counts.
      const left = storage.crashState("random");
      const other = LogReader.prototype.cursorsSync.call(
        new LogReader(place.dir, { storage: left, pool: place.pool }),
      );
      assert([position, position + 1].includes(other[0]!.position));
      await cursor.commit(position + 2);
      assertEquals(cursor.position, position + 2);
    }
    failNextWrite(storage);
    await cursor.commit(9, { durable: false });
    await storage.delay(1000);
    await quiet(storage);
    // No caller waited for the failed write, so the next call reports it.
    await assertRejects(() => cursor.commit(10, { durable: false }));
    await cursor.commit(10, { durable: false });
  });
});

/** docs/format.md#cursor-turns */
Deno.test("Log.cursor() uses one slot while the device cannot read the other", async () => {
  await at(new SimulatedPlace(), async (place) => {
    await using log = await withMessages(place, 10);
    {
      await using cursor = await log.cursor("a");
      await cursor.commit(1);
      await cursor.commit(2);
    }
    const positions = [0, 4096].map((bad) => {
      const stop = place.storage.onOperation(
        ({ kind, path, position = 0, length = 0 }) => {
          if (kind !== "read" || !path.endsWith("/cursors/a")) return;
          const isHit = position <= bad && bad < position + length;
          return isHit ? { error: "EIO" } : undefined;
        },
      );
      const [found] = log.cursorsSync();
      stop();
      return found!.position;
    });
    assertEquals(positions.toSorted(), [1, 2]);
  });
});

/** docs/format.md#cursor-damaged */
Deno.test("Log.cursor() refuses a damaged file, and one torn slot does no harm", async () => {
  await at(new SimulatedPlace(), async (place) => {
    await using log = await withMessages(place, 10);
    const path = `${place.dir}/cursors/a`;
    {
      await using cursor = await log.cursor("a");
      for (let offset = 1; offset <= 4; offset++) await cursor.commit(offset);
    }
    const whole = place.storage.peek(path).slice();
    assertEquals(whole.length, 8192);
    const positions = [0, 4096].map((at) => {
      const bytes = whole.slice();
      bytes[at + 24]! ^= 1;
      place.storage.poke(path, 0, bytes);
      using cursor = log.cursorSync("a");
      return cursor.position;
    });
    assertEquals(positions.toSorted(), [3, 4]);
    const bytes = whole.slice();
    bytes[24]! ^= 1;
    bytes[4096 + 24]! ^= 1;
    place.storage.poke(path, 0, bytes);
    const error = assertThrows(
      () => log.cursorSync("a"),
      Deno.errors.InvalidData,
    );
    assert(error.message.includes(path));
    await assertRejects(() => log.cursors(), Deno.errors.InvalidData, path);
    // A damaged cursor can be deleted.
    assertEquals(await log.deleteCursor("a"), true);
    assertEquals(await log.cursors(), []);
  });
});

/** docs/format.md#cursor-file */
Deno.test("Log.cursor() gives a file larger slots on a disk with larger blocks", async () => {
  const small = new SimulatedPlace({ physicalBlock: 4096 });
  let left: SimulatedDisk | undefined;
  await at(small, async (place) => {
    await using log = await withMessages(place, 10);
    await using cursor = await log.cursor("a");
    await cursor.commit(5);
    await cursor.close();
    await log.close();
    left = place.storage;
  });
  const disk = new SimulatedDisk({ physicalBlock: 16384 });
  disk.makeDirectorySync("/log/cursors");
  for (const path of left!.files()) disk.poke(path, 0, left!.peek(path));
  await at(new SimulatedPlace(disk), async (place) => {
    await using log = await openLog(place);
    await using cursor = await log.cursor("a");
    assertEquals(cursor.position, 5);
    await cursor.commit(6);
    assertEquals(disk.peek("/log/cursors/a").length, 2 * 16384);
    await cursor.close();
    assertEquals((await log.cursors())[0]!.position, 6);
    assertEquals(place.names().filter((name) => name.startsWith("cursors/")), [
      "cursors/a",
    ]);
  });
});

Deno.test({
  name: "Cursor costs one descriptor and one block of memory",
  ignore: !ALL,
  async fn() {
    await at(new DiskPlace(), async (place) => {
      await using log = await withMessages(place, 3);
      const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
      // The log publishes what is durable.
      await new Promise((resolve) => setTimeout(resolve, 100));
      const before = count();
      const bytes = place.pool.stats().inUseBytes;
      const cursors = await Promise.all(
        range(0, 10).map((i) => log.cursor(`c${i}`)),
      );
      assertEquals(count() - before, 10);
      assertEquals(place.pool.stats().inUseBytes - bytes, 10 * 4096);
      for (const cursor of cursors) await cursor.close();
      assertEquals(count(), before);
    });
  },
});

Deno.test("LogReader.cursor() refuses a log without an identity", async () => {
  await at(new SimulatedPlace(), async (place) => {
    {
      await using _log = await withMessages(place, 3);
    }
    await place.storage.remove(`${place.dir}/meta`);
    const reader = new LogReader(place.dir, place);
    await assertRejects(
      () => reader.cursor("a"),
      Deno.errors.NotSupported,
      "opening it for writing",
    );
  });
});

Deno.test("Cursor.closeSync() writes pending commits, and their promises settle", async () => {
  await at(new SimulatedPlace(), async (place) => {
    using log = openLogSync(place);
    appendSome(log, 10, 10);
    log.flushSync();
    const cursor = log.cursorSync("a");
    const first = cursor.commit(3);
    await quiet(place.storage);
    await first;
    const commits = [cursor.commit(5), cursor.commit(4)];
    cursor.closeSync();
    await Promise.all(commits);
    assertEquals(cursor.position, 5);
    const again = log.cursorSync("a");
    // The commit is in flight when the sync call begins.
    const commit = again.commit(8);
    await new Promise((resolve) => setImmediate(resolve));
    again.commitSync(9);
    await commit;
    assertEquals(again.position, 9);
    again.closeSync();
  });
});
