import type { Task } from "../../base/mod.ts";
import { formatUuid, parseUuid } from "../../codec/mod.ts";
import { acquire, type BufferPool } from "../../pool/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import { recordChecksum } from "./_checksum.ts";

/** The shortest physical block of a file with a record: that of the largest disks in use. */
const MIN_BLOCK_BYTES = 4096;

/** Bytes of a magic number. */
const MAGIC_BYTES = 8;

/** The version of `meta`, of the owner file and of the files of cursors. */
const RECORD_VERSION = 1;

/** The type of a field, and its position in bytes. */
type FieldPlace = readonly ["uuid" | "u32" | "u64", number];

/** How a record is laid out: every version keeps the places of magic number and checksum. */
export interface RecordLayout<T> {
  /** What its first bytes are, in ASCII. */
  magic: string;
  /** The type and the position of each other field. */
  fields: Readonly<Record<keyof T, FieldPlace>>;
  /** Where its checksum is: of all bytes before that. */
  checksumAt: number;
}

/** Returns the bytes of one physical block of a file, and at least 4096. */
export function blockBytesOf(file: TaskFile): number {
  return Math.max(MIN_BLOCK_BYTES, file.capabilities.physicalBlock);
}

/**
 * Decodes the record at the start of bytes; returns `undefined` if it is not valid, or has a number
 * above 2^53 - 1.
 *
 * @throws {Deno.errors.NotSupported} If the record is valid, but of another version: it is named.
 */
export function decodeRecord<T>(
  bytes: Uint8Array,
  layout: RecordLayout<T>,
  path: string,
): T | undefined {
  if (!isValidRecord(bytes, layout, path)) return undefined;
  const view = viewOf(bytes);
  const record = {} as Record<keyof T, string | number>;
  for (const [name, [type, at]] of fieldsOf(layout)) {
    if (type === "uuid") record[name] = formatUuid(bytes, at);
    else if (type === "u32") record[name] = view.getUint32(at, true);
    else {
      const value = Number(view.getBigUint64(at, true));
      if (!Number.isSafeInteger(value)) return undefined;
      record[name] = value;
    }
  }
  return record as T;
}

function isValidRecord(
  bytes: Uint8Array,
  { magic, checksumAt }: RecordLayout<unknown>,
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

/** Encodes a record at the start of bytes, which must be zeros beside its fields. */
export function encodeRecord<T>(
  bytes: Uint8Array,
  layout: RecordLayout<T>,
  record: T,
): void {
  const { magic, checksumAt } = layout;
  for (let i = 0; i < MAGIC_BYTES; i++) bytes[i] = magic.charCodeAt(i);
  const view = viewOf(bytes);
  view.setUint32(MAGIC_BYTES, RECORD_VERSION, true);
  for (const [name, [type, at]] of fieldsOf(layout)) {
    const value = record[name];
    if (type === "uuid") bytes.set(parseUuid(value as string), at);
    else if (type === "u32") view.setUint32(at, value as number, true);
    else view.setBigUint64(at, BigInt(value as number), true);
  }
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

function fieldsOf<T>({ fields }: RecordLayout<T>): [keyof T, FieldPlace][] {
  return Object.entries(fields) as [keyof T, FieldPlace][];
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
