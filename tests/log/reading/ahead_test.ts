/**
 * Reading ahead: what is in flight, what is read and how often, and what happens where memory, time
 * or the disk run out.
 */
import { drive } from "../../../lib/base/mod.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { LogReader } from "../../../lib/log/mod.ts";
import type { BufferPool } from "../../../lib/pool/mod.ts";
import type { MessageBatch } from "../../../lib/segment/mod.ts";
import { TaskFile } from "../../../lib/storage/mod.ts";
import { BlockReader } from "../../../lib/segment/read/block_reader.ts";
import { SeededRandom, SimulatedDisk } from "@basalt/io/testing";
import {
  drain,
  drainSync,
  HEADER,
  KIB,
  MIB,
  onEachPlace,
  openLog,
  openLogSync,
  payload,
  segment,
  testPool,
} from "../_support.ts";
import {
  assertBytes,
  assertMade,
  bytesRead,
  DIR,
  diskWith,
  filesOf,
  LEFT_OPEN,
  make,
  on,
  placeOn,
} from "../recovery/_support.ts";

/** Returns random lengths of payloads. Some end at a block boundary, and some exceed a block. */
function randomLengths(random: SeededRandom): number[] {
  const lengths: number[] = [];
  const kinds = [
    () => random.below(300),
    () => random.below(70 * KIB),
    () => random.below(MIB),
    () => MIB + random.below(4 * MIB),
    () => 9 * MIB,
  ];
  const most = random.below(kinds.length) + 1;
  for (let total = 0; total < 12 * MIB && lengths.length < 3000;) {
    const kind = random.chance(0.9) ? 0 : random.below(most);
    const length = random.chance(0.02)
      ? Math.max(0, 960 * KIB - (total % (960 * KIB)) - HEADER)
      : kinds[kind]!();
    lengths.push(length);
    total += length + HEADER;
  }
  return lengths;
}

Deno.test("Log.read() gives every message once, whatever is in flight, and reads each byte about once", async () => {
  for (let seed = 0; seed < 16; seed++) {
    const random = new SeededRandom(seed);
    const lengths = randomLengths(random);
    const made = make(0, lengths);
    const disk = diskWith(filesOf(made), {
      seed,
      readOffsetAlignment: [1, 512, 4096][seed % 3]!,
    });
    disk.onOperation(({ kind }) => {
      if (kind === "read") return { latencyMs: random.below(5) };
    });
    await on(disk, async (place) => {
      const log = openLogSync(place);
      const readAheadBytes = [0, MIB, 3 * MIB, undefined][seed % 4];
      const options = readAheadBytes === undefined ? {} : { readAheadBytes };
      const before = bytesRead(disk, ".log");
      assertMade(await drain(log, options), 0, lengths, `seed ${seed}`);
      const read = bytesRead(disk, ".log") - before;
      // One restart at the end of the file, and no more.
      assert(
        read <= made.log.length + 128 * KIB,
        `seed ${seed}: ${read} of ${made.log.length}`,
      );
      assertMade(drainSync(log, options), 0, lengths, `sync, seed ${seed}`);
      const from = random.below(lengths.length);
      const rest = lengths.slice(from);
      assertMade(await drain(log, { ...options, from }), from, rest);
      log.closeSync();
    });
  }
});

Deno.test("BlockReader gives the file's bytes, whatever the receiver keeps, and stays within its memory limit", async () => {
  const bytes = payload(1, 9 * MIB + 777);
  for (let seed = 0; seed < 40; seed++) {
    const random = new SeededRandom(seed);
    const disk = new SimulatedDisk({
      seed,
      readOffsetAlignment: [1, 512, 4096][seed % 3]!,
    });
    disk.poke("/a", 0, bytes);
    const file = disk.openSync("/a");
    // Sometimes little more than the largest block that is needed.
    using pool = testPool({ limitBytes: [15, 64][seed % 2]! * MIB });
    const readAheadBytes = random.below(5) * MIB;
    let position = random.below(2 * MIB);
    const reader = new BlockReader(new TaskFile(file), pool, position, {
      readAheadBytes,
      firstBytes: [4 * KIB, 64 * KIB, MIB][random.below(3)]!,
    });
    const end = position + random.below(bytes.length - position);
    while (position < end) {
      const bound = Math.min(end, position + 1 + random.below(4 * MIB));
      const piece = await drive(reader.next(bound));
      const what = `seed ${seed}, byte ${position}`;
      assertEquals(piece.position, position, what);
      assert(piece.end > piece.start || piece.last, what);
      assertBytes(
        piece.buffer.bytes.slice(piece.start, piece.end),
        bytes.slice(position, position + piece.end - piece.start),
        what,
      );
      assert(pool.stats().inUseBytes <= readAheadBytes + 7 * MIB, what);
      const taken = random.chance(0.5)
        ? piece.end - piece.start
        : 1 + random.below(piece.end - piece.start);
      position += taken;
      const needed = piece.end - piece.start - taken +
        random.below([100, 100 * KIB, 4 * MIB][random.below(3)]!);
      if (random.chance(0.1)) reader.restart(position);
      else reader.keep(piece, piece.start + taken, needed);
      piece.buffer.drop();
    }
    await drive(reader.close());
    assertEquals(pool.stats().inUseBytes, 0);
    file.closeSync();
  }
});

/** A log of 16 MiB in messages of 1000 bytes. */
const LENGTHS = Array.from(
  { length: Math.floor(16 * MIB / (HEADER + 1000)) },
  () => 1000,
);
const MADE = make(0, LENGTHS);

/** Returns how many reads of the log, and how many bytes, were in flight at most during a scan. */
async function inFlight(
  options: { readAheadBytes?: number },
  pool = testPool(),
): Promise<{ reads: number; bytes: number; pool: BufferPool }> {
  const disk = diskWith(filesOf(MADE));
  disk.onOperation(({ kind }) =>
    kind === "read" ? { latencyMs: 2 } : undefined
  );
  const most = { reads: 0, bytes: 0, pool };
  const look = () => {
    const now = disk.trace.filter((each) =>
      each.kind === "read" && each.completion === undefined
    );
    most.reads = Math.max(most.reads, now.length);
    most.bytes = Math.max(
      most.bytes,
      now.reduce((sum, { length }) => sum + length!, 0),
    );
  };
  disk.onOperation(() => queueMicrotask(look));
  const reader = new LogReader(DIR, { storage: disk, pool });
  assertMade(await drain(reader, options), 0, LENGTHS);
  assertEquals(pool.stats().inUseBytes, 0);
  return most;
}

Deno.test("Log.read() has as many reads in flight as 'readAheadBytes' allows, and one where it is 0 or the pool has no room", async () => {
  const eight = await inFlight({});
  assert(eight.reads >= 8 && eight.bytes <= 9 * MIB, `${eight.reads} reads`);
  const two = await inFlight({ readAheadBytes: 2 * MIB });
  assertEquals(two.reads, 3);
  assertEquals((await inFlight({ readAheadBytes: 0 })).reads, 1);
  for (const atLimit of ["wait", "fail", "external"] as const) {
    // Room for one block, its arrays and what is kept of it. Of the other blocks only the small
    // last one fits.
    const pool = testPool({ limitBytes: 1400 * KIB, atLimit });
    const one = await inFlight({}, pool);
    assert(one.bytes <= 1400 * KIB, atLimit);
  }
});

Deno.test("LogReader.read() of few messages reads little ahead", async () => {
  const disk = diskWith(filesOf(MADE));
  await on(disk, async (place) => {
    const reader = new LogReader(DIR, place);
    assertEquals((await drain(reader, { count: 10 })).length, 10);
    assert(bytesRead(disk, ".log") <= MIB);
  });
});

Deno.test("LogReader.read() finishes for all readers of a pool too small for all, also with large messages", async () => {
  const lengths = [100, 3 * MIB, 50, 2 * MIB, ...LENGTHS.slice(0, 3000)];
  const disk = diskWith(filesOf(make(0, lengths)));
  for (const limit of [6, 8, 12]) {
    using pool = testPool({ limitBytes: limit * MIB });
    const reader = new LogReader(DIR, { storage: disk, pool });
    const all = await Promise.all([1, 2, 3, 4].map(() => drain(reader)));
    for (const read of all) assertMade(read, 0, lengths);
    assertEquals(pool.stats().inUseBytes, 0);
  }
});

Deno.test("Log.read() gives all messages before it reports a failed read ahead", async () => {
  const path = `${DIR}/${segment(0)}.log`;
  for (let failing = 1; failing <= 17; failing++) {
    const disk = diskWith(filesOf(MADE));
    let failed = Infinity;
    let reads = 0;
    disk.onOperation(({ kind, path: at, position }) => {
      if (kind !== "read" || at !== path) return;
      // Later reads usually complete first.
      if (++reads !== failing) return { latencyMs: 20 - reads };
      failed = position!;
      return { error: "EIO" };
    });
    await on(disk, async (place) => {
      const reader = new LogReader(DIR, place);
      let read = 0;
      await assertRejects(
        async () => {
          for await (using batch of reader.read()) {
            assertEquals(batch.firstOffset, read);
            read += batch.count;
          }
        },
        Error,
        "EIO",
      );
      assertEquals(
        read,
        Math.floor(failed / (HEADER + 1000)),
        `read ${failing}`,
      );
    });
  }
});

onEachPlace(
  "Log.read() returns all memory when its loop is left, also with reads in flight and on a closed log",
  async (place) => {
    const log = await openLog(place, { blockBytes: MIB });
    for (let i = 0; i < 12; i++) log.append(payload(i, MIB - HEADER));
    await log.flush();
    const leave = async (how: (batches: number) => void): Promise<void> => {
      let batches = 0;
      for await (using _ of log.read()) how(++batches);
    };
    for (let after = 1; after < 5; after++) {
      await assertRejects(() =>
        leave((batches) => {
          if (batches === after) throw new TypeError("enough");
        }), TypeError);
      for await (using batch of log.read()) if (batch.offset(0) >= after) break;
      const iterator = log.read();
      for (let i = 0; i < after; i++) (await iterator.next()).value!.drop();
      await iterator.return!();
    }
    const late = log.read();
    using first: MessageBatch = (await late.next()).value!;
    await log.close();
    // What is being read can be read to its end.
    using second: MessageBatch = (await late.next()).value!;
    assertEquals(second.firstOffset, first.nextOffset);
    await late.return!();
  },
);

Deno.test("Log.read() of ten thousand batches leaks nothing into the pool", async () => {
  const disk = diskWith(filesOf(make(0, LENGTHS.slice(0, 300))));
  await on(disk, async (place) => {
    const reader = new LogReader(DIR, place);
    let batches = 0;
    let mapped = 0;
    for (let from = 0; batches < 10_000; from = (from + 7) % 300) {
      for await (using batch of reader.read({ from, count: 1 })) {
        batches += batch.count;
      }
      assertEquals(place.pool.stats().inUseBytes, 0);
      if (batches === 1000) mapped = place.pool.stats().mappedBytes;
    }
    assertEquals(place.pool.stats().mappedBytes, mapped);
  });
});

Deno.test("Log.open() recovers by reading at most 32 MiB of data and the zeros after it, each byte about once", async () => {
  const lengths = Array.from({ length: 64 }, () => MIB - HEADER);
  const made = make(0, lengths);
  const cut = (messages: number) => made.index.slice(0, 24 * messages);
  for (
    const [name, last, torn, indexed, most] of [
      ["at the checkpoint", 48, 0, 48, 17],
      ["16 MiB after it", 64, 0, 48, 33],
      ["with a torn tail", 60, 1, 48, 33],
      ["before the first checkpoint", 12, 0, 4, 12],
    ] as const
  ) {
    for (const sync of [true, false]) {
      const size = last * MIB;
      const bytes = new Uint8Array(size + 64 * MIB);
      bytes.set(made.log.subarray(0, size));
      if (torn > 0) bytes.fill(0, size - 900 * KIB, size - 100 * KIB);
      const disk = diskWith({
        [`${segment(0)}.log`]: bytes,
        [`${segment(0)}.index`]: cut(indexed),
        ...LEFT_OPEN,
      });
      const place = placeOn(disk);
      const log = sync ? openLogSync(place) : await openLog(place);
      assertEquals(log.nextOffset, torn > 0 ? last - 1 : last, name);
      const read = bytesRead(disk, `${segment(0)}.log`);
      assert(read <= (most + 64.2) * MIB, `${name}: ${read / MIB} MiB`);
      log.closeSync();
    }
  }
});

Deno.test("Log.open() scans a log whole if its index lacks more than a checkpoint", () => {
  const lengths = Array.from({ length: 48 }, () => MIB - HEADER);
  const made = make(0, lengths);
  // The index says that nothing lies after 18 MiB, and a hole hides that there is more.
  const bytes = made.log.slice().fill(0, 10 * MIB, 12 * MIB);
  const disk = diskWith({
    [`${segment(0)}.log`]: bytes,
    [`${segment(0)}.index`]: made.index.slice(0, 24 * 2),
    ...LEFT_OPEN,
  });
  const before = disk.hash();
  try {
    openLogSync(placeOn(disk)).closeSync();
    throw new Error("opened");
  } catch (error) {
    assertEquals((error as Error).name, "CorruptSegmentError");
  }
  assertEquals(disk.hash(), before);
});
