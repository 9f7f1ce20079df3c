import type { Task } from "../base/mod.ts";
import { join, TEMPORARY_SUFFIX, unlessGone } from "../log/mod.ts";
import type { CarriedCursor } from "./carried_cursors.ts";
import { listIfThere, type Place, readSmall } from "./_files.ts";
import type { IggyFormat } from "./format.ts";
import { offsetChecksum } from "./_offset_checksum.ts";
import { Output } from "./_output.ts";

/** The largest id of a consumer or a group: a u32. */
export const MAX_CONSUMER_ID: number = 2 ** 32 - 1;
/** Bytes of a file with an offset and its checksum, and of one with an offset only. */
const CHECKED_BYTES = 16;
const PLAIN_BYTES = 8;
/** Memory for writing a file. */
const OUTPUT_BYTES = 4096;

/** A consumer, or a group of consumers. */
export type ConsumerKind = "consumer" | "group";

/** The stored offset of a consumer or a group of consumers. */
export interface ConsumerOffset {
  /** Which of the two. */
  kind: ConsumerKind;
  /** Its id. */
  id: number;
  /** The offset of the last message that it has processed. */
  offset: number;
}

/**
 * Reads the consumer offsets of a partition.
 *
 * Files have 8 bytes up to Iggy 0.8 (`docs/format.md#old-offsets`) and 16 later
 * (`docs/format.md#iggy-offsets`). Later servers accept both.
 *
 * @throws {Deno.errors.InvalidData} If a file is damaged. The message names it and says what to do.
 */
export function* readConsumerOffsets(
  place: Place,
  partition: string,
): Task<ConsumerOffset[]> {
  const offsets: ConsumerOffset[] = [];
  for (const kind of ["consumer", "group"] as const) {
    const dir = directoryOf(partition, kind);
    const found: ConsumerOffset[] = [];
    for (const { name, isFile } of yield* listIfThere(place, dir)) {
      const id = Number(name);
      if (!isFile || !/^\d+$/.test(name) || id > MAX_CONSUMER_ID) continue;
      const path = join(dir, name);
      const bytes = yield* readSmall(place, path);
      if (bytes === undefined) continue;
      found.push({ kind, id, offset: decode(bytes, path) });
    }
    offsets.push(...found.sort((a, b) => a.id - b.id));
  }
  return offsets;
}

/**
 * Writes a consumer offset under a temporary name, and renames it, durably.
 *
 * @param position The offset after the one that is stored; at 0 there is no file.
 */
export function* writeConsumerOffset(
  place: Place,
  partition: string,
  { kind, id, position }: CarriedCursor,
  format: IggyFormat,
): Task<void> {
  if (position === 0) return;
  const { storage } = place;
  const dir = directoryOf(partition, kind);
  const path = join(dir, `${id}`);
  yield* storage.makeDirectory(dir);
  const temporary = path + TEMPORARY_SUFFIX;
  yield* unlessGone(storage.remove(temporary));
  const output = yield* Output.create(place, temporary, OUTPUT_BYTES);
  try {
    output.append(encode(position - 1, format));
    yield* output.finish();
  } finally {
    yield* output.close();
  }
  yield* storage.rename(temporary, path);
  yield* storage.syncDirectory(dir);
}

function directoryOf(partition: string, kind: ConsumerKind): string {
  return join(partition, `offsets/${kind}s`);
}

function encode(offset: number, format: IggyFormat): Uint8Array {
  const isChecked = format === "0.9";
  const bytes = new Uint8Array(isChecked ? CHECKED_BYTES : PLAIN_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(offset), true);
  if (isChecked) {
    const checksum = offsetChecksum(bytes.subarray(0, PLAIN_BYTES));
    view.setBigUint64(PLAIN_BYTES, checksum, true);
  }
  return bytes;
}

function decode(bytes: Uint8Array, path: string): number {
  const { length } = bytes;
  if (length !== PLAIN_BYTES && length !== CHECKED_BYTES) {
    throw damaged(path, `it has ${length} bytes, and not 8 or 16`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const offset = Number(view.getBigUint64(0, true));
  if (length === CHECKED_BYTES) {
    const checksum = offsetChecksum(bytes.subarray(0, PLAIN_BYTES));
    if (view.getBigUint64(PLAIN_BYTES, true) !== checksum) {
      throw damaged(path, "the checksum at byte 8 does not match");
    }
  }
  if (Number.isSafeInteger(offset)) return offset;
  throw damaged(path, "the offset at byte 0 is above 2^53 - 1");
}

function damaged(path: string, what: string): Error {
  return new Deno.errors.InvalidData(
    `Cannot use '${path}' as a consumer offset: ${what}. Remove the file: its consumer then starts at the first message`,
  );
}
