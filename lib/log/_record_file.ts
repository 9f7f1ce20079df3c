import type { Task } from "../base/mod.ts";
import { acquire, type BufferPool, type PooledBuffer } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { recordChecksum } from "./_checksum.ts";

/** The shortest physical block of a file with a record: that of the largest disks in use. */
const MIN_BLOCK_BYTES = 4096;

/** Bytes of a magic number. */
const MAGIC_BYTES = 8;

/** The version of `meta` and of the owner file. */
export const RECORD_VERSION = 1;

/** How a record is laid out: every version keeps these places. */
export interface RecordLayout {
  /** What its first bytes are, in ASCII. */
  magic: string;
  /** Where its checksum is: of all bytes before that. */
  checksumAt: number;
}

/** Returns the bytes of one physical block of a file, and at least 4096. */
export function blockBytesOf(file: TaskFile): number {
  return Math.max(MIN_BLOCK_BYTES, file.capabilities.physicalBlock);
}

/**
 * Tells whether bytes start with a valid record.
 *
 * @throws {Deno.errors.NotSupported} If the record is valid, but of another version: it is named.
 */
export function isValidRecord(
  bytes: Uint8Array,
  { magic, checksumAt }: RecordLayout,
  path: string,
): boolean {
  if (bytes.length < checksumAt + 8) return false;
  for (let i = 0; i < MAGIC_BYTES; i++) {
    if (bytes[i] !== magic.charCodeAt(i)) return false;
  }
  const view = viewOf(bytes);
  const checksum = recordChecksum(bytes.subarray(0, checksumAt));
  if (view.getBigUint64(checksumAt, true) !== checksum) return false;
  const version = view.getUint32(MAGIC_BYTES, true);
  if (version === RECORD_VERSION) return true;
  throw new Deno.errors.NotSupported(
    `Cannot use '${path}': it has version ${version}, this Basalt knows version ${RECORD_VERSION}`,
  );
}

/** Puts magic number, version and checksum into a record whose other fields are there. */
export function sealRecord(
  bytes: Uint8Array,
  { magic, checksumAt }: RecordLayout,
): void {
  for (let i = 0; i < MAGIC_BYTES; i++) bytes[i] = magic.charCodeAt(i);
  const view = viewOf(bytes);
  view.setUint32(MAGIC_BYTES, RECORD_VERSION, true);
  const checksum = recordChecksum(bytes.subarray(0, checksumAt));
  view.setBigUint64(checksumAt, checksum, true);
}

/** Reads the first `length` bytes of a file, or what it has of them. */
export function* readStart(
  file: TaskFile,
  pool: BufferPool,
  length: number,
): Task<Uint8Array> {
  const unit = file.capabilities.readOffsetAlignment;
  using buffer = yield* acquire(pool, Math.ceil(length / unit) * unit);
  const read = yield* file.readNow(buffer, 0);
  return buffer.bytes.slice(0, Math.min(read, length));
}

/** Reads a u64 that is an exact number; `undefined` if it is above 2^53 - 1. */
export function readUint64(bytes: Uint8Array, at: number): number | undefined {
  const value = Number(viewOf(bytes).getBigUint64(at, true));
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Writes a number as u64. */
export function writeUint64(
  bytes: Uint8Array,
  at: number,
  value: number,
): void {
  viewOf(bytes).setBigUint64(at, BigInt(value), true);
}

/** Writes a whole block, durably. */
export function* writeBlock(
  file: TaskFile,
  block: PooledBuffer,
  position: number,
  length: number,
): Task<void> {
  yield* file.write(block, position, { length, durability: "data" });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
