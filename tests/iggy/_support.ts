/** Logs and partitions as files, made without a writer, and read without a reader. */
import { assertEquals } from "@std/assert";
import {
  BatchScan,
  batchTimestampAt,
  decodeUserHeaders,
  encodeUserHeaders,
  formatUuid,
  INDEX_ENTRY_BYTES,
  type Message,
  readFrame,
  seal,
  type UserHeadersInit,
  writeIndexEntry,
} from "../../lib/codec/mod.ts";
import { Gathering } from "../../lib/codec/legacy/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";
import { SimulatedCrashError, type SimulatedDisk } from "@basalt/io/testing";
import { laidOut } from "../codec/_block.ts";
import { fieldsAt } from "../codec/legacy/_naive.ts";

export const KIB = 1024;
export const MIB = 1024 * KIB;
/** Append time of the first batch of a made log, in microseconds. */
export const TIME = 1_700_000_000_000_000;

/** Files by name. */
export type Files = Map<string, Uint8Array<ArrayBuffer>>;

/** A message of a made log. */
export interface MadeMessage {
  payload: Uint8Array;
  headers?: UserHeadersInit;
  id?: Uint8Array;
  /** Origin time. */
  origin?: number;
}

/**
 * A batch of a made log: how much later its append time is than that of the one before, and its
 * messages.
 */
export interface MadeBatch {
  step: number;
  messages: readonly MadeMessage[];
}

/** Makes a closed log: the files of its segments, with sparse indexes. */
export function makeLog(
  segments: readonly (readonly MadeBatch[])[],
  { firstOffset = 0, partition = 0 } = {},
): Files {
  const files: Files = new Map();
  let [offset, time] = [firstOffset, TIME];
  for (const batches of segments) {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    const entries: Uint8Array<ArrayBuffer>[] = [];
    const name = `${offset}`.padStart(20, "0");
    let [position, indexed] = [0, -Infinity];
    for (const { step, messages } of batches) {
      time += step;
      const bytes = sealed(messages, offset, time, partition);
      if (position - indexed >= 64 * KIB) {
        const entry = new Uint8Array(INDEX_ENTRY_BYTES);
        writeIndexEntry(entry, 0, { offset, timestamp: time, position });
        entries.push(entry);
        indexed = position;
      }
      parts.push(bytes);
      position += bytes.length;
      offset += messages.length;
    }
    files.set(`${name}.index`, concat(entries));
    files.set(`${name}.log`, concat(parts));
  }
  return files;
}

/** Seals a batch. */
function sealed(
  messages: readonly MadeMessage[],
  baseOffset: number,
  baseTimestamp: number,
  partitionId: number,
): Uint8Array<ArrayBuffer> {
  const block = laidOut([messages.map(({ payload, headers, id, origin }) => ({
    payload,
    ...(headers === undefined ? {} : { headers: encodeUserHeaders(headers) }),
    ...(id === undefined ? {} : { id }),
    ...(origin === undefined ? {} : { origin }),
  }))]);
  const seed = new Uint8Array(32).fill(baseOffset % 251 + 1);
  const end = seal({ ...block, baseOffset, baseTimestamp, partitionId, seed });
  return block.bytes.slice(block.start, end);
}

/**
 * Makes a log of `count` messages with payloads of `bytes` bytes, `perBatch` messages in a batch,
 * and `perSegment` batches in a segment.
 */
export function makeSimpleLog(
  count: number,
  { bytes = 400, perBatch = 4, perSegment = 5, firstOffset = 0 } = {},
): Files {
  const batches: MadeBatch[] = [];
  for (let i = 0; i < count; i += perBatch) {
    const length = Math.min(perBatch, count - i);
    batches.push({
      step: 10,
      messages: Array.from({ length }, (_, j) => ({
        payload: payload(firstOffset + i + j, bytes),
        origin: TIME - 5 + j,
      })),
    });
  }
  const segments = [];
  for (let i = 0; i < batches.length; i += perSegment) {
    segments.push(batches.slice(i, i + perSegment));
  }
  return makeLog(segments, { firstOffset });
}

/** Returns the payload of a message. */
export function payload(offset: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (offset * 31 + i) % 251);
}

/** Concatenates bytes. */
export function concat(
  parts: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Returns the names of the `.log` files, in order. */
export function logNames(files: Files): string[] {
  return [...files.keys()].filter((name) => name.endsWith(".log")).sort();
}

/**
 * Reads all messages of a log, or of a partition of Iggy 0.9. Every batch must be valid, and every
 * index entry right.
 */
export function readBatches(files: Files): Message[] {
  const messages: Message[] = [];
  let [next, time] = [-1, 0];
  for (const name of logNames(files)) {
    const bytes = files.get(name)!;
    const scan = new BatchScan();
    const first = Number(name.slice(0, 20));
    if (next >= 0) assertEquals(first, next, name);
    scan.run(bytes, 0, first, time);
    assertEquals([scan.stop, scan.end], ["end", bytes.length], name);
    for (let batch = 0; batch < scan.batchCount; batch++) {
      const end = batch + 1 < scan.batchCount
        ? scan.batchFirsts[batch + 1]!
        : scan.count;
      for (let i = scan.batchFirsts[batch]!; i < end; i++) {
        const start = scan.batchStarts[batch]!;
        messages.push(readFrame(bytes, scan.starts[i]!, start));
      }
    }
    const starts = [...scan.batchStarts.subarray(0, scan.batchCount)];
    checkEntries(files.get(name.replace(".log", ".index")), bytes, starts);
    [next, time] = [scan.nextOffset, scan.lastTimestamp];
  }
  return messages;
}

function checkEntries(
  index: Uint8Array | undefined,
  bytes: Uint8Array,
  starts: readonly number[],
): void {
  if (index === undefined) return;
  const view = new DataView(index.buffer, index.byteOffset, index.byteLength);
  let last = -1;
  for (let at = 0; at < index.length; at += INDEX_ENTRY_BYTES) {
    const position = Number(view.getBigUint64(at + 16, true));
    assertEquals(starts.includes(position) && position > last, true);
    assertEquals(
      Number(view.getBigUint64(at + 8, true)),
      batchTimestampAt(bytes, position),
    );
    last = position;
  }
}

/** The fields of a message that every format keeps. */
type Fields = Pick<
  Message,
  "offset" | "id" | "timestamp" | "originTimestamp" | "payload" | "userHeaders"
>;

/**
 * Reads all messages of a partition of Iggy 0.8, and its dense indexes; every message must be
 * valid.
 */
export function readLegacy(files: Files): Fields[] {
  const messages: Fields[] = [];
  for (const name of logNames(files)) {
    const bytes = files.get(name)!;
    const gathering = new Gathering(Number(name.slice(0, 20)), 0);
    gathering.run(bytes, 0, true, new Uint8Array(5 * bytes.length));
    const { stop, sourceEnd, count } = gathering;
    assertEquals([stop, sourceEnd], ["end", bytes.length], name);
    const index = files.get(name.replace(".log", ".index"))!;
    assertEquals(index.length, 16 * count, name);
    const view = new DataView(index.buffer, index.byteOffset);
    for (let i = 0, at = 0; i < count; i++) {
      const message = fieldsAt(bytes.subarray(at))!;
      at += 64 + message.payload.length + message.headers.length;
      assertEquals(view.getUint32(16 * i, true), i, name);
      assertEquals(view.getUint32(16 * i + 4, true), at, name);
      assertEquals(view.getBigUint64(16 * i + 8, true), message.timestamp);
      messages.push({
        offset: Number(message.offset),
        id: formatUuid(message.id),
        timestamp: Number(message.timestamp),
        originTimestamp: Number(message.origin),
        payload: new Uint8Array(message.payload),
        userHeaders: decodeUserHeaders(message.headers),
      });
    }
  }
  return messages;
}

/** Returns the fields of a message, to compare them. */
export function fieldsOf(message: Fields) {
  const { offset, id, timestamp, originTimestamp, payload } = message;
  const headers = message.userHeaders;
  return { offset, id, timestamp, originTimestamp, payload, headers };
}

/** Creates a pool for a test. */
export function testPool({ limitBytes = 512 * MIB } = {}): BufferPool {
  return new BufferPool({ limitBytes, onWarning: () => {} });
}

/** Puts files on a simulated disk, durably. */
export function putAll(disk: SimulatedDisk, dir: string, files: Files): void {
  for (const [name, content] of files) disk.poke(`${dir}/${name}`, 0, content);
}

/** Returns the files of segments in a directory of a simulated disk, including temporary ones. */
export function segmentFiles(disk: SimulatedDisk, dir: string): Files {
  return new Map(
    [...disk.snapshot()].filter(([path]) =>
      path.startsWith(`${dir}/`) &&
      /^\d{20}\.(log|index)/.test(path.slice(dir.length + 1))
    ).map(([path, bytes]) => [path.slice(dir.length + 1), bytes.slice()]),
  );
}

/** Returns the files of segments in a directory. */
export function readDirectory(dir: string | URL): Files {
  const base = dir instanceof URL ? dir : new URL(`file://${dir}/`);
  const names = [...Deno.readDirSync(base)].map(({ name }) => name).sort();
  return new Map(
    names.filter((name) => /^\d{20}\.(log|index)$/.test(name))
      .map((name) => [name, Deno.readFileSync(new URL(name, base))]),
  );
}

/**
 * Runs something on copies of a disk that crash at every operation, and passes what is left to a
 * check.
 */
export async function eachCrash(
  disk: SimulatedDisk,
  run: (disk: SimulatedDisk, pool: BufferPool) => Promise<unknown>,
  after: (left: SimulatedDisk, what: string) => Promise<void>,
): Promise<number> {
  for (let number = 1;; number++) {
    const copy = disk.crashState("none");
    copy.failAt(number, { crash: true });
    let isOver = false;
    const pool = testPool();
    try {
      await run(copy, pool);
      isOver = true;
    } catch (error) {
      if (!isCrash(error)) throw error;
    }
    if (isOver && !copy.crashed) return number - 1;
    for (const choice of ["none", "all", "random"] as const) {
      const { kind, path } = copy.trace.at(-1)!;
      const what = `crash at ${number} (${kind} ${path}), ${choice}`;
      await after(copy.crash(choice), what);
    }
  }
}

function isCrash(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof SimulatedCrashError) return true;
  }
  return false;
}
