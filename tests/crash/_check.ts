/** Checks of a log and its files after a power cut. */
import { assert, assertEquals } from "@std/assert";
import { type Log, verifyLogSync } from "../../lib/log/mod.ts";
import type { SimulatedDisk } from "@basalt/io/testing";
import { assertBytes, DIR, placeOn } from "../log/recovery/_support.ts";
import { faultsOfClosed, payload } from "../log/_support.ts";
import type { Expected } from "./_scenario.ts";

/**
 * Compares an opened log with what it must hold: everything acknowledged, and of the rest a prefix
 * of whole batches, bit for bit.
 */
export function checkLog(log: Log, expected: Expected): void {
  const { messages, acknowledged, firstAtLeast, removable } = expected;
  const { firstOffset, nextOffset, durableOffset } = log;
  assert(
    firstOffset >= firstAtLeast,
    `begins at ${firstOffset}, but began at ${firstAtLeast} before`,
  );
  assert(
    firstOffset <= removable,
    `begins at ${firstOffset}, but could be truncated up to ${removable} only`,
  );
  assert(
    nextOffset >= acknowledged,
    `ends at ${nextOffset}, and ${acknowledged} were acknowledged`,
  );
  assert(
    nextOffset <= messages.length,
    `ends at ${nextOffset}, and ${messages.length} were appended`,
  );
  assertEquals(durableOffset, nextOffset, "what was found is durable");
  assert(
    messages[nextOffset]?.begins !== false,
    `ends at ${nextOffset}, inside a batch`,
  );
  const begins: number[] = [];
  let offset = firstOffset;
  let time = 0;
  for (using batch of log.readSync()) {
    for (let k = 0; k < batch.batchCount; k++) {
      begins.push(batch.batch(k).offset);
    }
    for (let i = 0; i < batch.count; i++, offset++) {
      const { salt, length } = messages[offset]!;
      const found = batch.payload(i);
      assertEquals(batch.offset(i), offset);
      assertBytes(found, payload(salt + offset, length), `message ${offset}`);
      assert(batch.timestamp(i) >= time, "time goes back");
      time = batch.timestamp(i);
    }
  }
  assertEquals(offset, nextOffset, "what is read ends where the log does");
  const expectedBegins = messages.flatMap((message, i) =>
    message.begins && i >= firstOffset && i < nextOffset ? [i] : []
  );
  assertEquals(begins, expectedBegins, "where batches begin");
}

/**
 * Compares the files of a closed log with one another: names, sizes, offsets and every index entry.
 * It decodes them by itself, and runs the log's own verification.
 */
export function checkFiles(disk: SimulatedDisk): void {
  const place = placeOn(disk);
  assertEquals(faultsOfClosed(place), []);
  const { storage, pool } = place;
  assertEquals([...verifyLogSync(DIR, { storage, pool })], []);
}
