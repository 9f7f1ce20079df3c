import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  Backpressure,
  fits,
  MAX_SEGMENT_BYTES,
  payloadBatch,
  prepareMessage,
  Timeline,
  WriteBuffer,
} from "../../lib/segment/mod.ts";
import type { BufferPool } from "../../lib/pool/mod.ts";
import { KIB, MIB, testPool } from "../log/support.ts";

function bufferOf(
  pool: BufferPool,
  physicalBlock: number,
  blockBytes: number,
  end = 0,
): WriteBuffer {
  return new WriteBuffer({
    pool,
    blockBytes,
    bufferBytes: MIB,
    pendingBytes: () => 7,
    physicalBlock,
    timeline: new Timeline(() => 1, 0),
    random: (bytes) => bytes,
  }, {
    baseOffset: 10,
    nextOffset: 20,
    end,
    tail: new Uint8Array(end % physicalBlock).fill(9),
  });
}

/** Sizes of payloads, many of them near those of blocks. */
const sizes = fc.array(
  fc.oneof(
    fc.nat(500),
    fc.integer({ min: 3800, max: 4200 }),
    fc.integer({ min: 8 * KIB - 200, max: 40 * KIB }),
  ),
  { minLength: 1, maxLength: 40 },
);

Deno.test("WriteBuffer.reserve() acquires exactly the blocks that appending then takes", () => {
  fc.assert(
    fc.property(
      sizes,
      fc.constantFrom(512, 4096, 16 * KIB),
      fc.constantFrom(4 * KIB, 12 * KIB, 64 * KIB),
      fc.nat(20_000),
      fc.nat(3),
      fc.boolean(),
      (sizes, physicalBlock, blockBytes, end, before, whole) => {
        const pool = testPool();
        const buffer = bufferOf(pool, physicalBlock, blockBytes, end);
        for (let i = 0; i < before; i++) {
          buffer.append(prepareMessage("x".repeat(1000 * i), undefined));
        }
        const payloads = sizes.map((size) => new Uint8Array(size));
        const batch = payloadBatch(payloads);
        buffer.reserve(batch, 0, sizes.length);
        const reserved = pool.stats().acquired;
        if (whole) buffer.appendBatch(batch, 0, sizes.length);
        else {
          payloads.forEach((payload, i) =>
            assertEquals(
              buffer.append(prepareMessage(payload, undefined)),
              20 + before + i,
            )
          );
        }
        assertEquals(buffer.nextOffset, 20 + before + sizes.length);
        assertEquals(pool.stats().acquired, reserved, "acquired again");
        const { inUseBytes } = pool.stats();
        buffer.dropSpare();
        assertEquals(pool.stats().inUseBytes, inUseBytes, "spare blocks");
        buffer.discard();
        assertEquals(pool.stats().inUseBytes, 0);
        pool.close();
      },
    ),
    { numRuns: 200, seed: 1 },
  );
});

Deno.test("WriteBuffer.reserve() knows that a block takes no more than one checkpoint covers", () => {
  const pool = testPool();
  const buffer = bufferOf(pool, 4096, 24 * MIB);
  const payloads = Array.from({ length: 18 }, () => new Uint8Array(MIB));
  const batch = payloadBatch(payloads);
  buffer.reserve(batch, 0, payloads.length);
  assertEquals(pool.stats().acquired, 2);
  buffer.appendBatch(batch, 0, payloads.length);
  assertEquals(pool.stats().acquired, 2);
  buffer.discard();
});

Deno.test("WriteBuffer.reserve() takes no block for a part of a batch that the open one has room for", () => {
  const pool = testPool();
  const buffer = bufferOf(pool, 4096, 12 * KIB);
  buffer.append(prepareMessage("x".repeat(6000), undefined));
  const payloads = Array.from({ length: 4 }, () => new Uint8Array(1900));
  const batch = payloadBatch(payloads);
  buffer.reserve(batch, 0, 2);
  assertEquals(pool.stats().acquired, 1);
  buffer.reserve(batch, 0, 4);
  assertEquals(pool.stats().acquired, 2);
  buffer.discard();
});

Deno.test("WriteBuffer.reserve() keeps nothing when the pool has no room", () => {
  const pool = testPool({ limitBytes: 64 * KIB, atLimit: "fail" });
  const buffer = bufferOf(pool, 4096, 4096);
  const payloads = Array.from({ length: 20 }, () => new Uint8Array(4000));
  const error = assertThrows(
    () => buffer.reserve(payloadBatch(payloads), 0, 20),
    Backpressure,
  );
  assertEquals([error.pendingBytes, error.bufferBytes], [7, MIB]);
  assertEquals(error.requestedBytes, error.cause?.requestedBytes);
  assertEquals(pool.stats().inUseBytes, 0);
  assertEquals(buffer.nextOffset, 20);
  pool.close();
});

Deno.test("WriteBuffer.take() hands over chunks that begin with the partly filled block before them", () => {
  fc.assert(
    fc.property(
      sizes,
      fc.constantFrom(512, 4096),
      fc.nat(5000),
      (sizes, physicalBlock, start) => {
        const pool = testPool();
        const buffer = bufferOf(pool, physicalBlock, 8 * KIB, start);
        const file = new Uint8Array(2 * MIB);
        file.fill(9, start - start % physicalBlock, start);
        let end = start;
        let offset = 20;
        sizes.forEach((size, i) => {
          buffer.append(
            prepareMessage(new Uint8Array(size).fill(i + 1), undefined),
          );
          // What is not sealed stays.
          if (i % 3 > 0) return;
          buffer.seal();
          for (const chunk of buffer.take()) {
            assertEquals(chunk.position % physicalBlock, 0);
            assertEquals(chunk.position, end - end % physicalBlock);
            assertEquals(chunk.prefix, end % physicalBlock);
            assertEquals(chunk.firstOffset, offset);
            const before = file.subarray(chunk.position, end);
            assertEquals(chunk.bytes.subarray(0, chunk.prefix), before);
            file.set(chunk.bytes.subarray(0, chunk.fill), chunk.position);
            const rest = (physicalBlock - chunk.fill % physicalBlock) %
              physicalBlock;
            const padding = chunk.bytes.subarray(
              chunk.fill,
              chunk.fill + rest,
            );
            assert(padding.every((byte) => byte === 0));
            end = chunk.end;
            offset = chunk.nextOffset;
            chunk.buffer.drop();
          }
          assertEquals([end, offset], [buffer.end, buffer.nextOffset]);
        });
        buffer.discard();
        assertEquals(pool.stats().inUseBytes, 0);
        pool.close();
      },
    ),
    { numRuns: 100, seed: 2 },
  );
});

Deno.test("fits() lets a message into an empty segment whatever its size, and never behind 2^32 - 1 bytes", () => {
  assertEquals(fits(0, 5000, 1000), true);
  assertEquals(fits(1, 999, 1000), true);
  assertEquals(fits(1, 1000, 1000), false);
  const { MAX_SAFE_INTEGER } = Number;
  assertEquals(fits(MAX_SEGMENT_BYTES - 64, 64, MAX_SAFE_INTEGER), true);
  assertEquals(fits(MAX_SEGMENT_BYTES - 63, 64, MAX_SAFE_INTEGER), false);
});
