import { assertEquals, assertThrows } from "@std/assert";
import { driveSync } from "../../lib/base/mod.ts";
import {
  BATCH_HEADER_BYTES,
  BatchScan,
  FRAME_HEADER_BYTES,
} from "../../lib/codec/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";
import { MessageBatch, SegmentScan, Selection } from "../../lib/segment/mod.ts";
import { SeededRandom } from "../../lib/testing/mod.ts";
import {
  type Made,
  make,
  place,
  type Placed,
  TIME,
  zeros,
} from "./_made_segment.ts";

/** Reads the first messages of a segment, all of which are in one block. */
function read({ files, pool }: Placed, made: Made): MessageBatch {
  const start = { position: 0, offset: made.firstOffset };
  const scan = new SegmentScan(files.log, pool, start);
  const batch = driveSync(scan.next(made.log.length));
  driveSync(scan.close());
  if (!(batch instanceof MessageBatch)) throw new Error(batch.reason);
  return batch;
}

/** Batches of 1, 3, 1, 1, 5 and 2 messages, each with a time of its own. */
const made = make(
  40,
  [1, 3, 1, 1, 5, 2].map((count, i) => ({
    payloads: Array.from({ length: count }, (_, at) => 10 * i + at),
    timestamp: TIME + 10 * i,
  })),
);

const flat = made.batches.flatMap(({ payloads, timestamp }) =>
  payloads.map((payload) => ({ payload, timestamp }))
);

/** Checks all properties of a batch that has messages `[from, to)` of what was made. */
function assertBatch(batch: MessageBatch, from: number, to: number): void {
  assertEquals(batch.firstOffset, 40 + from);
  assertEquals(batch.nextOffset, 40 + to);
  assertEquals(batch.count, to - from);
  assertEquals([batch.starts.length, batch.lengths.length], [
    to - from,
    to - from,
  ]);
  const messages = [...batch];
  const { bytes } = batch;
  let sum = 0;
  for (const i of [...Array(to - from).keys(), 0, to - from - 1]) {
    const { payload, timestamp } = flat[from + i]!;
    assertEquals(batch.offset(i), 40 + from + i);
    assertEquals(batch.timestamp(i), timestamp);
    assertEquals(batch.payload(i), payload);
    assertEquals(batch.text(i), new TextDecoder().decode(payload));
    assertEquals(batch.lengths[i], payload.length);
    const start = batch.starts[i]! + FRAME_HEADER_BYTES;
    assertEquals(bytes.subarray(start, start + payload.length), payload);
    const message = messages[i]!;
    assertEquals(message.offset, 40 + from + i);
    assertEquals(message.timestamp, timestamp);
    assertEquals(message.originTimestamp, timestamp);
    assertEquals(message.payload, payload);
  }
  for (let i = 0; i < to - from; i++) {
    assertEquals(batch.bytesBetween(0, i), sum);
    sum += FRAME_HEADER_BYTES + flat[from + i]!.payload.length;
  }
  assertEquals(batch.byteLength, sum);
  // Only the messages, with the headers of their batches.
  const end = batch.starts[to - from - 1]! + FRAME_HEADER_BYTES +
    flat[to - 1]!.payload.length;
  assertEquals(bytes.length, end);
  assertEquals(batch.endPosition, batch.position + end);
}

Deno.test("MessageBatch has the messages of several batches, with the time of each", async () => {
  await place({ log: made.log, index: zeros(0) }, (placed) => {
    using batch = read(placed, made);
    assertEquals(batch.position, 0);
    assertBatch(batch, 0, 13);
    assertEquals(batch.batchCount, 6);
    for (const [k, { offset, timestamp, position }] of made.batches.entries()) {
      assertEquals(batch.batch(k), { offset, timestamp, position });
    }
  });
});

Deno.test("MessageBatch.timestamp() is right in any order", async () => {
  await place({ log: made.log, index: zeros(0) }, (placed) => {
    using batch = read(placed, made);
    const random = new SeededRandom(1);
    for (let round = 0; round < 300; round++) {
      const i = random.below(13);
      assertEquals(batch.timestamp(i), flat[i]!.timestamp);
    }
  });
});

Deno.test("MessageBatch.narrow() is the batch of a part, also of a part of it", async () => {
  await place({ log: made.log, index: zeros(0) }, (placed) => {
    for (let from = 0; from < 13; from++) {
      for (let to = from + 1; to <= 13; to++) {
        using part = read(placed, made).narrow(from, to);
        assertBatch(part, from, to);
      }
    }
    using part = read(placed, made).narrow(2, 12).narrow(3, 8);
    assertBatch(part, 5, 10);
    using batch = read(placed, made);
    for (
      const [from, to] of [[0, 0], [3, 3], [5, 14], [-1, 3], [13, 13], [0.5, 2]]
    ) {
      assertThrows(() => batch.narrow(from!, to!), RangeError);
    }
  });
});

Deno.test("MessageBatch.firstSince() finds the first message at or after a time", async () => {
  await place({ log: made.log, index: zeros(0) }, (placed) => {
    for (const [from, to] of [[0, 13], [2, 13], [3, 9], [12, 13]]) {
      using part = read(placed, made).narrow(from!, to!);
      for (let time = TIME - 5; time < TIME + 60; time += 5) {
        const wanted = flat.slice(from, to).findIndex(({ timestamp }) =>
          timestamp >= time
        );
        assertEquals(part.firstSince(time), wanted < 0 ? part.count : wanted);
      }
    }
  });
});

Deno.test("MessageBatch drops its memory once, and its views become empty", async () => {
  await place({ log: made.log, index: zeros(0) }, (placed) => {
    const batch = read(placed, made);
    const payload = batch.payload(4);
    assertEquals(payload.length, 20 - 20 + flat[4]!.payload.length);
    batch.drop();
    batch.drop();
    assertEquals(payload.length, 0);
    assertEquals(batch.starts.length, 0);
    assertThrows(() => batch.payload(0));
    assertThrows(() => batch.timestamp(0));
    assertThrows(() => batch.message(0));
    assertEquals(placed.pool.stats().inUseBytes, 0);
  });
});

Deno.test("MessageBatch refuses messages that it does not have", async () => {
  await place({ log: made.log, index: zeros(0) }, (placed) => {
    using batch = read(placed, made);
    for (const i of [-1, 13, 1.5, NaN]) {
      assertThrows(() => batch.offset(i), RangeError);
      assertThrows(() => batch.payload(i), RangeError);
      assertThrows(() => batch.timestamp(i), RangeError);
      assertThrows(() => batch.message(i), RangeError);
      assertThrows(() => batch.text(i), RangeError);
    }
  });
});

Deno.test("MessageBatch shares frozen memory with other holders", () => {
  using pool = new BufferPool({ onWarning: () => {} });
  const buffer = pool.acquireSync(made.log.length + 100);
  buffer.bytes.set(made.log, 50);
  const frozen = buffer.freeze();
  const scan = new BatchScan(1);
  scan.run(frozen.bytes.subarray(50, 50 + made.log.length), 0, 40);
  const { count, batchCount } = scan;
  const batchOf = () =>
    new MessageBatch({
      buffer: frozen.retain(),
      start: 50,
      end: 50 + scan.end,
      position: 0,
      firstOffset: 40,
      starts: scan.starts.subarray(0, count),
      lengths: scan.lengths.subarray(0, count),
      batchStarts: scan.batchStarts.subarray(0, batchCount),
      batchFirsts: scan.batchFirsts.subarray(0, batchCount),
      arrays: undefined,
    });
  const [first, second] = [batchOf(), batchOf().narrow(4, 9)];
  assertBatch(first, 0, 13);
  first.drop();
  assertBatch(second, 4, 9);
  frozen.drop();
  assertBatch(second, 4, 9);
  second.drop();
  assertEquals(pool.stats().inUseBytes, 0);
});

Deno.test("Selection counts the bytes of frames", async () => {
  await place({ log: made.log, index: zeros(0) }, (placed) => {
    const sizes = flat.map(({ payload }) =>
      FRAME_HEADER_BYTES + payload.length
    );
    for (
      let maxBytes = 0;
      maxBytes < 13 * (BATCH_HEADER_BYTES + 60);
      maxBytes += 17
    ) {
      for (const count of [1, 5, 100]) {
        const selection = new Selection({ maxBytes, count });
        using batch = selection.select(read(placed, made));
        let [wanted, sum] = [0, 0];
        while (
          wanted < Math.min(count, 13) &&
          (sum + sizes[wanted]! <= maxBytes || wanted === 0)
        ) sum += sizes[wanted++]!;
        assertEquals(
          batch?.count,
          wanted,
          `${maxBytes} bytes, ${count} messages`,
        );
        if (batch !== undefined) assertBatch(batch, 0, wanted);
        assertEquals(
          selection.isOver,
          wanted < 13 || sum >= maxBytes || count <= wanted,
        );
      }
    }
  });
});
