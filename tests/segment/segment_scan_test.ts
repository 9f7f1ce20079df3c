import { assert, assertEquals } from "@std/assert";
import { BATCH_HEADER_BYTES, FRAME_HEADER_BYTES } from "../../lib/codec/mod.ts";
import {
  corruption,
  describeStop,
  MessageBatch,
  type ScanStop,
  SegmentScan,
  type StopReason,
} from "../../lib/segment/mod.ts";
import type { SegmentScanOptions } from "../../lib/segment/read/segment_scan.ts";
import { BlockReader } from "../../lib/segment/read/block_reader.ts";
import { SeededRandom } from "../../lib/testing/mod.ts";
import {
  KIB,
  type Made,
  make,
  makeSingles,
  MIB,
  place,
  TIME,
  ways,
  zeros,
} from "./_made_segment.ts";
import type { Task } from "../../lib/base/mod.ts";
import type { Placed } from "./_made_segment.ts";

/** A message as a naive reader sees it. */
interface Seen {
  offset: number;
  timestamp: number;
  payload: Uint8Array;
}

/** Reads with a growing bound, and returns all messages and the last stop. */
function* scanAll(
  { files, pool }: Placed,
  bounds: readonly number[],
  options: SegmentScanOptions & { position?: number; offset?: number } = {},
  seen: (batch: MessageBatch) => void = () => {},
): Task<{ messages: Seen[]; stop: ScanStop; lastTimestamp: number }> {
  const { position = 0, offset = 0 } = options;
  const scan = new SegmentScan(files.log, pool, { position, offset }, options);
  const messages: Seen[] = [];
  let stop: ScanStop | undefined;
  try {
    for (const bound of bounds) {
      for (;;) {
        const next = yield* scan.next(bound);
        if (!(next instanceof MessageBatch)) {
          stop = next;
          assertEquals([scan.position, scan.offset], [
            stop.position,
            stop.offset,
          ]);
          break;
        }
        using batch = next;
        seen(batch);
        for (let i = 0; i < batch.count; i++) {
          messages.push({
            offset: batch.offset(i),
            timestamp: batch.timestamp(i),
            payload: batch.payload(i).slice(),
          });
        }
      }
    }
  } finally {
    yield* scan.close();
  }
  return { messages, stop: stop!, lastTimestamp: scan.lastTimestamp };
}

/** Returns what lies before a bound, by the list of what was made. */
function before(
  made: Made,
  bound: number,
): { messages: Seen[]; stop: ScanStop } {
  const messages: Seen[] = [];
  let [position, offset] = [0, made.firstOffset];
  let reason: StopReason = "end";
  for (const batch of made.batches) {
    if (position + batch.length > bound) {
      if (position < bound) reason = "partial";
      break;
    }
    for (const [i, payload] of batch.payloads.entries()) {
      messages.push({
        offset: offset + i,
        timestamp: batch.timestamp,
        payload,
      });
    }
    position += batch.length;
    offset += batch.count;
  }
  return { messages, stop: { reason, position, offset } };
}

function assertSeen(
  found: readonly Seen[],
  expected: readonly Seen[],
  what: string,
): void {
  assertEquals(found.length, expected.length, what);
  for (const [i, { offset, timestamp, payload }] of expected.entries()) {
    const other = found[i]!;
    assertEquals([other.offset, other.timestamp], [offset, timestamp], what);
    assert(
      other.payload.length === payload.length &&
        other.payload.every((byte, at) => byte === payload[at]),
      `${what}: payload of ${offset}`,
    );
  }
}

/** Makes batches of every size, some of them longer than a block. */
function randomSegment(random: SeededRandom): Made {
  const largest = [500, 70 * KIB, 700 * KIB, 3 * MIB][random.below(4)]!;
  const inits = [];
  let timestamp = TIME;
  for (let total = 0; total < 6 * MIB && inits.length < 400;) {
    const count = 1 + random.below(random.chance(0.1) ? 200 : 4);
    const most = random.chance(0.8) ? 500 : largest;
    const payloads = Array.from(
      { length: count },
      () => random.below(most) >> random.below(4),
    );
    timestamp += random.below(3);
    inits.push({ payloads, timestamp });
    total += payloads.reduce((sum, each) => sum + each, 300);
  }
  return make(random.below(1000), inits);
}

Deno.test("SegmentScan finds the same as a naive parser, whatever its blocks and bounds", async () => {
  for (let seed = 0; seed < 16; seed++) {
    const random = new SeededRandom(seed);
    const made = randomSegment(random);
    const options = {
      firstBytes: [4 * KIB, 64 * KIB, MIB][random.below(3)]!,
      readAheadBytes: [0, MIB, 8 * MIB][random.below(3)]!,
      eager: random.chance(0.5),
      keepBad: random.chance(0.3),
      offset: made.firstOffset,
    };
    const bounds = [
      random.below(made.log.length),
      random.below(made.log.length),
      made.log.length,
    ]
      .sort((a, b) => a - b);
    const disk = { seed, readOffsetAlignment: [1, 512, 4096][seed % 3]! };
    const files = { log: made.log, index: zeros(0) };
    for (const { name, run } of ways) {
      await place(
        files,
        async (placed) => {
          placed.disk.onOperation(({ kind }) =>
            kind === "read" && name === "async"
              ? { latencyMs: random.below(3) }
              : undefined
          );
          for (const used of [bounds.slice(0, 1), bounds]) {
            const what = `${name}, seed ${seed}, bounds ${used}`;
            const expected = before(made, used.at(-1)!);
            const found = await run(scanAll(placed, used, options));
            assertSeen(found.messages, expected.messages, what);
            assertEquals(found.stop, expected.stop, what);
            const last = expected.messages.at(-1)?.timestamp ?? 0;
            assertEquals(found.lastTimestamp, last, what);
          }
        },
        disk,
        { limitBytes: [40, 512][seed % 2]! * MIB },
      );
    }
  }
});

Deno.test("SegmentScan reads batches that are larger than a block whole, each byte about once", async () => {
  const made = makeSingles(5, [
    100,
    20 * MIB,
    200,
    5 * MIB,
    5 * MIB,
    300,
    9 * MIB,
  ]);
  for (const { name, run } of ways) {
    await place({ log: made.log, index: zeros(0) }, async (placed) => {
      const found = await run(
        scanAll(placed, [made.log.length], { offset: 5 }),
      );
      assertSeen(found.messages, before(made, made.log.length).messages, name);
      const bytes = placed.disk.trace.reduce(
        (sum, { kind, length }) => kind === "read" ? sum + (length ?? 0) : sum,
        0,
      );
      assert(
        bytes < made.log.length + 256 * KIB,
        `${name}: ${bytes} of ${made.log.length}`,
      );
    });
  }
});

Deno.test("SegmentScan reads batches of 700 KiB in blocks of several MiB", async () => {
  const made = makeSingles(0, Array.from({ length: 60 }, () => 700 * KIB));
  for (const { name, run } of ways) {
    await place({ log: made.log, index: zeros(0) }, async (placed) => {
      let pieces = 0;
      const found = await run(
        scanAll(placed, [made.log.length], {}, () => pieces++),
      );
      assertEquals(found.messages.length, 60);
      // 42 MiB in blocks that are 1 MiB at first.
      assert(pieces <= 12, `${name}: ${pieces}`);
    });
  }
});

/** Faults of a batch, each with the reason that a scan gives. */
const FAULTS: readonly [StopReason, (bytes: DataView, at: number) => void][] = [
  ["length", (bytes, at) => bytes.setBigUint64(at + 32, 10n, true)],
  ["reserved", (bytes, at) => bytes.setUint8(at + 200, 1)],
  ["count", (bytes, at) => bytes.setUint32(at + 48, 0, true)],
  ["offset", (bytes, at) => bytes.setUint8(at + 8, 99)],
  ["timestamp", (bytes, at) => bytes.setBigUint64(at + 16, 1n, true)],
  ["frame checksum", (bytes, at) => {
    const payload = at + BATCH_HEADER_BYTES + FRAME_HEADER_BYTES;
    bytes.setUint8(payload, bytes.getUint8(payload) ^ 1);
  }],
  [
    "batch checksum",
    (bytes, at) => bytes.setUint8(at + 24, bytes.getUint8(at + 24) ^ 1),
  ],
  [
    "zeros",
    (bytes, at) =>
      new Uint8Array(bytes.buffer).fill(0, at, at + BATCH_HEADER_BYTES),
  ],
];

Deno.test("SegmentScan reports and describes why it stopped", async () => {
  const made = makeSingles(7, [10, 20, 30]);
  const [, second] = made.batches;
  for (const [reason, spoil] of FAULTS) {
    const log = made.log.slice();
    spoil(new DataView(log.buffer), second!.position);
    for (const { run } of ways) {
      await place({ log, index: zeros(0) }, async (placed) => {
        const { messages, stop } = await run(
          scanAll(placed, [log.length], { offset: 7 }),
        );
        assertEquals(messages.length, 1);
        assertEquals(stop, { reason, position: second!.position, offset: 8 });
        const error = corruption("/0.log", stop);
        assertEquals(error.kind, reason === "zeros" ? "torn" : reason);
        assert(error.message.endsWith(describeStop(stop.reason)));
      });
    }
  }
});

Deno.test("SegmentScan refuses a first batch below minTimestamp", async () => {
  const made = makeSingles(0, [10, 10]);
  await place({ log: made.log, index: zeros(0) }, async (placed) => {
    for (const { run } of ways) {
      const [first] = made.batches;
      const good = { minTimestamp: first!.timestamp };
      assertEquals(
        (await run(scanAll(placed, [made.log.length], good))).messages.length,
        2,
      );
      const late = { minTimestamp: first!.timestamp + 1 };
      const { stop } = await run(scanAll(placed, [made.log.length], late));
      assertEquals(stop, { reason: "timestamp", position: 0, offset: 0 });
    }
  });
});

const bytesRead = ({ disk }: Placed) =>
  disk.trace.reduce(
    (sum, { kind, length }) => kind === "read" ? sum + (length ?? 0) : sum,
    0,
  );

Deno.test("SegmentScan does not read a batch that ends after the bound", async () => {
  const made = makeSingles(0, [100, 100]);
  const log = new Uint8Array(40 * MIB).fill(7);
  log.set(made.log);
  const { position } = made.batches[1]!;
  const view = new DataView(log.buffer, position);
  view.setBigUint64(32, 60_000_304n, true);
  view.setUint32(BATCH_HEADER_BYTES + 36, 60_000_000, true);
  for (const { name, run } of ways) {
    for (const keepBad of [false, true]) {
      await place({ log, index: zeros(0) }, async (placed) => {
        const { stop } = await run(scanAll(placed, [log.length], { keepBad }));
        assertEquals(stop, { reason: "partial", position, offset: 1 });
        assert(bytesRead(placed) <= 2 * MIB, name);
        const { files, pool } = placed;
        const start = { position: 0, offset: 0 };
        const scan = new SegmentScan(files.log, pool, start, { keepBad });
        await run(scan.next(log.length)).then((batch) =>
          (batch as MessageBatch).drop()
        );
        await run(scan.next(log.length));
        // A caller that continues from there gets small pieces.
        const piece = await run(scan.blocks.next(log.length));
        assertEquals(piece.position, position);
        assert(piece.end - piece.start <= 2 * MIB, name);
        piece.buffer.drop();
        await run(scan.close());
      });
    }
  }
});

Deno.test("BlockReader reads a damaged length step by step", async () => {
  await place({ log: zeros(80 * MIB), index: zeros(0) }, async (placed) => {
    for (const { run } of ways) {
      const blocks = new BlockReader(placed.files.log, placed.pool, 0);
      const first = await run(blocks.next(80 * MIB));
      blocks.keep(first, first.start, 2 ** 40);
      first.buffer.drop();
      const second = await run(blocks.next(80 * MIB));
      const length = second.end - second.start;
      assert(length >= 64 * MIB && length < 66 * MIB, `${length}`);
      second.buffer.drop();
      await run(blocks.close());
    }
  });
});
