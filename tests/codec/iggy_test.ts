/**
 * Segments that a real Iggy server with the batch format wrote, compared with its replies to polls.
 */
import { assert, assertEquals } from "@std/assert";
import {
  batchBaseOffsetAt,
  batchLengthAt,
  BatchScan,
  batchTimestampAt,
  findBatch,
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  isPlausibleEntry,
  type Message,
  readFrame,
  readIndexEntry,
} from "../../lib/codec/mod.ts";
import { answeredHeaders, headersOf, idText } from "../iggy/_messages.ts";
import { BATCH_SEGMENTS, type BatchAnswer } from "../iggy/_recorded.ts";

for (const [name, count] of [["small", 170], ["rotated", 2200]] as const) {
  Deno.test({
    name:
      `BatchScan reads a server's segments '${name}' like its replies${BATCH_SEGMENTS.skipped}`,
    ignore: BATCH_SEGMENTS.isMissing,
    fn: async () => {
      const [directory, answers] = BATCH_SEGMENTS.read(name);
      assertEquals(answers.length, count);
      const logs = [...Deno.readDirSync(directory)].map((entry) => entry.name)
        .filter((file) => file.endsWith(".log")).sort();
      const scan = new BatchScan(1);
      let next = 0;
      let timestamp = 0;
      for (const log of logs) {
        const first = Number(log.slice(0, 20));
        assertEquals(first, next);
        const bytes = Deno.readFileSync(new URL(log, directory));
        scan.run(bytes, 0, first, timestamp);
        assertEquals([scan.stop, scan.end], ["end", bytes.length]);
        for (let batch = 0; batch < scan.batchCount; batch++) {
          const batchStart = scan.batchStarts[batch]!;
          const end = batch + 1 < scan.batchCount
            ? scan.batchFirsts[batch + 1]!
            : scan.count;
          for (let i = scan.batchFirsts[batch]!; i < end; i++) {
            const start = scan.starts[i]!;
            const answer = answers[next + i]!;
            assertEquals(scan.lengths[i], answer.header.payload_length);
            const message = readFrame(bytes, start, batchStart);
            await assertAnswered(message, answer);
            const view = new DataView(bytes.buffer, start, 8);
            const checksum = view.getBigUint64(0, true);
            assertEquals(String(checksum), answer.header.checksum);
          }
        }
        const index = Deno.readFileSync(
          new URL(log.replace(".log", ".index"), directory),
        );
        assertIndex(index, bytes);
        assertFound(bytes, scan);
        next = scan.nextOffset;
        timestamp = scan.lastTimestamp;
      }
      assertEquals(next, count);
    },
  });
}

async function assertAnswered(
  message: Message,
  { header, payload_sha256, user_headers }: BatchAnswer,
): Promise<void> {
  assertEquals(message.offset, header.offset);
  assertEquals(message.id, idText(header.id));
  assertEquals(message.timestamp, header.timestamp);
  assertEquals(message.originTimestamp, header.origin_timestamp);
  const digest = await crypto.subtle.digest("SHA-256", message.payload);
  assertEquals(new Uint8Array(digest).toHex(), payload_sha256);
  assertEquals(headersOf(message), answeredHeaders(user_headers));
}

/** Asserts that every entry is plausible and points to its batch. */
function assertIndex(index: Uint8Array, log: Uint8Array<ArrayBuffer>): void {
  let before: IndexEntry | undefined;
  assertEquals(index.length % INDEX_ENTRY_BYTES, 0);
  for (let i = 0; i < index.length / INDEX_ENTRY_BYTES; i++) {
    const entry = readIndexEntry(index, i);
    assert(before === undefined || isPlausibleEntry(entry, before));
    const { offset, timestamp, position } = entry;
    assertEquals(batchBaseOffsetAt(log, position), offset);
    assertEquals(batchTimestampAt(log, position), timestamp);
    before = entry;
  }
}

/** Asserts that a search finds the batch after a damaged one. */
function assertFound(bytes: Uint8Array<ArrayBuffer>, scan: BatchScan): void {
  const [first, second] = scan.batchStarts;
  assertEquals(second, first! + batchLengthAt(bytes, first!));
  const { position } = findBatch(
    bytes,
    first! + 1,
    0,
    Number.MAX_SAFE_INTEGER,
  );
  assertEquals(position, second);
}
