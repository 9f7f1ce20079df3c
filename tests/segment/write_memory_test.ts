import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BatchScan, readFrame } from "../../lib/codec/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";
import { BackpressureError } from "../../lib/segment/write/backpressure_error.ts";
import { INDEX_INTERVAL_BYTES } from "../../lib/segment/layout.ts";
import { emptyState } from "../../lib/segment/segment_state.ts";
import { OffsetConflictError } from "../../lib/segment/write/offset_conflict_error.ts";
import type { WriteBlock } from "../../lib/segment/write/_write_block.ts";
import {
  WriteMemory,
  type WriteMemoryOptions,
} from "../../lib/segment/write/_write_memory.ts";

const KIB = 1024;
const CLOCK = {
  now: () => 1_700_000_000_000_000,
  random: (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes),
};

function memoryOf(
  pool: BufferPool,
  options: Partial<WriteMemoryOptions> = {},
): WriteMemory {
  return new WriteMemory({
    pool,
    blockBytes: 64 * KIB,
    bufferBytes: 64 * KIB * KIB,
    segmentBytes: 2 ** 32 - 1,
    hasNext: true,
    physicalBlock: 512,
    firstOffset: 0,
    state: emptyState(0),
    clock: CLOCK,
    onBlock: () => {},
    ...options,
  });
}

/** Collects the blocks of segments, written in order like a file. */
class Segments {
  readonly files = new Map<number, Uint8Array>();
  readonly indexed = new Map<number, [offset: number, position: number][]>();

  write(block: WriteBlock): void {
    const { segmentOffset, position, fill } = block;
    const file = this.files.get(segmentOffset) ?? new Uint8Array(0);
    assert(position <= file.length, "a hole before a block");
    assertEquals(position + block.prefix, file.length, "another prefix");
    block.putPrefix(file.subarray(position));
    block.seal(512);
    const grown = new Uint8Array(position + fill);
    grown.set(file);
    grown.set(block.buffer.bytes.subarray(0, fill), position);
    this.files.set(segmentOffset, grown);
    const entries = this.indexed.get(segmentOffset) ?? [];
    for (const each of block.indexed) {
      entries.push([each.offset, each.position]);
    }
    this.indexed.set(segmentOffset, entries);
    block.buffer.drop();
  }
}

interface Written {
  payload: string;
  id: string;
  originTimestamp: number;
  timestamp: number;
  /** Index of its batch in the segment. */
  batch: number;
}

/** Returns all messages of the segments in order, and the entries of their index. */
function parse(segments: Segments): Written[] {
  const all: Written[] = [];
  let expected = 0;
  for (const [segmentOffset, bytes] of segments.files) {
    assertEquals(segmentOffset, expected, "segments follow each other");
    const scan = new BatchScan();
    scan.run(bytes as Uint8Array<ArrayBuffer>, 0, segmentOffset);
    assertEquals(scan.stop, "end");
    const entries: [number, number][] = [];
    for (let i = 0, batch = -1; i < scan.count; i++) {
      if (scan.batchFirsts[batch + 1] === i) batch++;
      const position = scan.batchStarts[batch]!;
      const last = entries.at(-1);
      if (scan.batchFirsts[batch] === i) {
        if (last === undefined || position - last[1] >= INDEX_INTERVAL_BYTES) {
          entries.push([segmentOffset + i, position]);
        }
      }
      const message = readFrame(
        bytes as Uint8Array<ArrayBuffer>,
        scan.starts[i]!,
        position,
      );
      assertEquals(message.offset, segmentOffset + i);
      const { id, originTimestamp, timestamp } = message;
      all.push({
        payload: message.text(),
        id,
        originTimestamp,
        timestamp,
        batch: all.length - (i - scan.batchFirsts[batch]!),
      });
    }
    assertEquals(segments.indexed.get(segmentOffset), entries);
    expected = scan.nextOffset;
  }
  return all;
}

const single = fc.record({
  kind: fc.constant("single" as const),
  size: fc.oneof(fc.nat(300), fc.nat(100_000)),
  text: fc.boolean(),
  time: fc.option(fc.nat(10_000_000_000), { nil: undefined }),
  id: fc.option(fc.uuid(), { nil: undefined }),
});
const batch = fc.record({
  kind: fc.constant("batch" as const),
  sizes: fc.array(fc.oneof(fc.nat(300), fc.nat(20_000)), {
    minLength: 1,
    maxLength: 40,
  }),
  form: fc.constantFrom("arrays", "texts", "mixed", "flat"),
});
const flush = fc.record({ kind: fc.constant("flush" as const) });

const ENCODER = new TextEncoder();

Deno.test("WriteMemory makes segments with everything that was appended, in whole batches, with a right index", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(single, single, batch, flush), { maxLength: 60 }),
      fc.constantFrom(8 * KIB, 100 * KIB, 2 ** 32 - 1),
      fc.constantFrom(512, 4096),
      (steps, segmentBytes, physicalBlock) => {
        using pool = new BufferPool();
        const memory = memoryOf(pool, { segmentBytes, physicalBlock });
        const segments = new Segments();
        const expected: {
          payload: string;
          batchOf?: number;
          time?: number;
          id?: string;
        }[] = [];
        let n = 0;
        const text = (size: number) =>
          `${n++}:${"é".repeat(n % 3)}${"x".repeat(size)}`;
        const flushAll = () => {
          memory.finish();
          for (const block of memory.take()) {
            memory.written(block);
            segments.write(block);
          }
        };
        for (const step of steps) {
          if (step.kind === "flush") flushAll();
          else if (step.kind === "single") {
            const payload = text(step.size);
            const { time, id } = step;
            const options = time === undefined && id === undefined
              ? undefined
              : {
                ...(time === undefined ? {} : { originTimestamp: time }),
                ...(id === undefined ? {} : { id }),
              };
            const offset = memory.append(
              step.text ? payload : ENCODER.encode(payload),
              options,
            );
            assertEquals(offset, expected.length);
            expected.push({
              payload,
              ...(time === undefined ? {} : { time }),
              ...(id === undefined ? {} : { id }),
            });
          } else {
            const texts = step.sizes.map(text);
            const arrays = texts.map((each) => ENCODER.encode(each));
            const given = step.form === "texts"
              ? texts
              : step.form === "arrays"
              ? arrays
              : step.form === "mixed"
              ? texts.map((each, i) => i % 2 === 0 ? each : arrays[i]!)
              : {
                bytes: ENCODER.encode(texts.join("")),
                lengths: arrays.map((each) => each.length),
              };
            const first = memory.appendBatch(given);
            assertEquals(first, expected.length);
            for (const payload of texts) {
              expected.push({ payload, batchOf: first });
            }
          }
        }
        flushAll();
        assertEquals(memory.pendingBytes, 0);
        const all = parse(segments);
        assertEquals(all.length, expected.length);
        all.forEach((message, i) => {
          const wanted = expected[i]!;
          assertEquals(message.payload, wanted.payload);
          assertEquals(
            message.originTimestamp,
            wanted.time ?? message.timestamp,
          );
          if (wanted.id !== undefined && !/^[0-]+$/.test(wanted.id)) {
            assertEquals(message.id, wanted.id);
          }
          if (wanted.batchOf !== undefined) {
            assertEquals(message.batch, wanted.batchOf);
          } else {assert(
              expected[message.batch]!.batchOf === undefined,
              "gathered with a batch",
            );}
        });
        memory.discard();
        assertEquals(pool.stats().inUseBytes, 0);
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("WriteMemory gathers single messages into batches of at most 1 MiB", () => {
  using pool = new BufferPool();
  const memory = memoryOf(pool, { blockBytes: 8 * KIB * KIB });
  const payload = new Uint8Array(100_000).fill(1);
  for (let i = 0; i < 40; i++) memory.append(payload);
  memory.finish();
  const segments = new Segments();
  for (const block of memory.take()) segments.write(block);
  const bytes = segments.files.get(0)! as Uint8Array<ArrayBuffer>;
  const scan = new BatchScan();
  scan.run(bytes, 0, 0);
  assertEquals(scan.count, 40);
  assert(scan.batchCount >= 4);
  for (let i = 0; i < scan.batchCount; i++) {
    const end = scan.batchStarts[i + 1] ?? bytes.length;
    assert(i + 1 >= scan.batchCount || end - scan.batchStarts[i]! <= KIB * KIB);
  }
  memory.discard();
});

Deno.test("WriteMemory throws BackpressureError before bufferBytes are exceeded, and takes any size when nothing waits", () => {
  using pool = new BufferPool();
  const memory = memoryOf(pool, { bufferBytes: 64 * KIB });
  const payload = new Uint8Array(10_000).fill(1);
  for (;;) {
    try {
      memory.append(payload);
    } catch (error) {
      assert(error instanceof BackpressureError);
      break;
    }
    assert(memory.pendingBytes <= 64 * KIB);
  }
  assert(memory.pendingBytes > 50_000);
  memory.finish();
  for (const block of memory.take()) {
    memory.written(block);
    block.buffer.drop();
  }
  assertEquals(memory.pendingBytes, 0);
  assertEquals(memory.append(new Uint8Array(200_000)), 6);
  assertThrows(() => memory.append(payload), BackpressureError);
  memory.discard();
  assertEquals(pool.stats().inUseBytes, 0);
});

Deno.test("WriteMemory appends nothing if a different offset is expected", () => {
  using pool = new BufferPool();
  const memory = memoryOf(pool);
  assertEquals(memory.append("a", { expect: 0 }), 0);
  const error = assertThrows(
    () => memory.append("b", { expect: 0 }),
    OffsetConflictError,
  );
  assertEquals([error.expected, error.nextOffset], [0, 1]);
  assertThrows(
    () => memory.appendBatch(["b", "c"], { expect: 2 }),
    OffsetConflictError,
  );
  assertThrows(() => memory.append("b", { expect: -1 }), RangeError);
  assertThrows(() => memory.append("b", { expect: 0.5 }), RangeError);
  assertEquals(memory.appendBatch(["b", "c"], { expect: 1 }), 1);
  assertEquals(memory.nextOffset, 3);
  memory.discard();
});

Deno.test("WriteMemory refuses a batch above 64 MiB, and a message that exceeds a segment", () => {
  using pool = new BufferPool();
  const memory = memoryOf(pool, { hasNext: false, segmentBytes: 64 * KIB });
  const large = new Uint8Array(40_000_000);
  assertThrows(
    () => memory.appendBatch([large, large]),
    RangeError,
    "at most 67108864 bytes",
  );
  memory.append(new Uint8Array(60_000));
  assertThrows(
    () => memory.append(new Uint8Array(10_000)),
    RangeError,
    "the segment ends",
  );
  assertEquals(memory.nextOffset, 1);
  memory.discard();
  assertEquals(pool.stats().inUseBytes, 0);
});

Deno.test("WriteMemory.finish() gives the current time, but never one below the last of the log", () => {
  using pool = new BufferPool();
  const clock = { ...CLOCK, now: () => 60 };
  const state = { ...emptyState(0), lastTimestamp: 50 };
  const memory = memoryOf(pool, { clock, state });
  const given = [20, 100, 110, 5, 110, 111].map((now) => {
    memory.append("a");
    memory.finish(now);
    return memory.take()[0]!.timestamp;
  });
  assertEquals(given, [50, 100, 110, 110, 110, 111]);
  assertEquals(memory.clockBehindMicros, 51);
});

Deno.test("WriteMemory draws a new seed for each block", () => {
  using pool = new BufferPool();
  const memory = memoryOf(pool);
  const segments = new Segments();
  const count = 100;
  for (let i = 0; i < count; i++) {
    memory.append("a");
    memory.finish();
  }
  for (const block of memory.take()) segments.write(block);
  assertEquals(new Set(parse(segments).map(({ id }) => id)).size, count);
});
