/**
 * Helpers that the tests of opening, recovery and reading share: segments made byte by byte, disks
 * that hold them, and checks of what is found there.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { parseUuid } from "../../../lib/codec/mod.ts";
import type { Log, LogOptions } from "../../../lib/log/mod.ts";
import type { Storage } from "../../../lib/storage/mod.ts";
import {
  type CrashChoice,
  SimulatedCrashError,
  SimulatedDisk,
  type SimulatedDiskOptions,
} from "@basalt/io/testing";
import {
  at,
  drainSync,
  MIB,
  openLogSync,
  payload,
  type Read,
  segment,
  SimulatedPlace,
  sparse,
  testPool,
} from "../_support.ts";
import { makeBatch } from "../../segment/_made_segment.ts";
import { joined as joinedParts } from "../../codec/_naive.ts";
import { xxh3 } from "../../codec/_xxh3.ts";

/** Directory of the log on a simulated disk. */
export const DIR = "/log";
/** Append time of messages that are made here, in microseconds. */
export const TIME = 1_700_000_000_000_000;

/** Identity of logs that are made here. */
export const IDENTITY = "00112233-4455-4677-8899-aabbccddeeff";

/** The bytes of a segment. */
export interface Made {
  firstOffset: number;
  log: Uint8Array<ArrayBuffer>;
  index: Uint8Array<ArrayBuffer>;
  /** Where each message's batch begins, followed by where the last one ends. */
  starts: number[];
}

/** The files of a log's directory, by name. */
export type Files = Record<string, Uint8Array>;

/**
 * Makes a segment of batches with one message each. Their payloads have these lengths, and are
 * `payload(offset, length)`.
 */
export function make(
  firstOffset: number,
  lengths: readonly number[],
  timeOf: (offset: number) => number = () => TIME,
): Made {
  const starts = [0];
  const parts: Uint8Array[] = [];
  const batches = lengths.map((length, i) => {
    const offset = firstOffset + i;
    const timestamp = timeOf(offset);
    const position = starts.at(-1)!;
    const bytes = makeBatch(offset, timestamp, [payload(offset, length)]);
    parts.push(bytes);
    starts.push(position + bytes.length);
    return { offset, timestamp, position };
  });
  const index = indexOf(sparse(batches));
  return { firstOffset, log: joined(...parts), index, starts };
}

/** Returns the files of a log that was closed, with these segments. */
export function filesOf(...segments: Made[]): Files {
  const first = Math.min(...segments.map(({ firstOffset }) => firstOffset));
  return {
    ...Object.fromEntries(segments.flatMap(({ firstOffset, log, index }) => [
      [`${segment(firstOffset)}.log`, log],
      [`${segment(firstOffset)}.index`, index],
    ])),
    meta: metaFile(first),
  };
}

/** Makes a `meta` file by the words of the format. */
export function metaFile(
  firstOffset: number,
  options: { sequence?: number; slotBytes?: number; identity?: string } = {},
): Uint8Array<ArrayBuffer> {
  const { sequence = 0, slotBytes = 4096, identity = IDENTITY } = options;
  const file = new Uint8Array(2 * slotBytes);
  const slot = file.subarray(sequence % 2 * slotBytes);
  slot.set(new TextEncoder().encode("BASALTMT"));
  slot.set(parseUuid(identity), 24);
  const view = new DataView(slot.buffer, slot.byteOffset);
  view.setUint32(8, 1, true);
  view.setUint32(12, slotBytes, true);
  view.setBigUint64(16, BigInt(sequence), true);
  view.setBigUint64(40, BigInt(firstOffset), true);
  view.setBigUint64(48, xxh3(slot.subarray(0, 48)), true);
  return file;
}

/** Makes an owner file of a process that no longer exists, by the words of the format. */
export function ownerFile(
  durableOffset = 0,
  options: { generation?: number; identity?: string } = {},
): Uint8Array<ArrayBuffer> {
  const { generation = 1, identity = IDENTITY } = options;
  const file = new Uint8Array(4096);
  file.set(new TextEncoder().encode("BASALTWR"));
  file.set(parseUuid(identity), 16);
  const view = new DataView(file.buffer);
  view.setUint32(8, 1, true);
  for (
    const [at, value] of [
      [32, generation],
      [40, 4711],
      [48, TIME],
      [56, durableOffset],
    ] as const
  ) view.setBigUint64(at, BigInt(value), true);
  view.setBigUint64(64, xxh3(file.subarray(0, 64)), true);
  return file;
}

/**
 * The owner file of a writer that did not close, with nothing published as durable, and the `meta`
 * of a log that starts at 0.
 */
export const LEFT_OPEN: Files = { meta: metaFile(0), writer: ownerFile() };

/** Creates a disk that holds the files, all durable. */
export function diskWith(
  files: Files,
  options: SimulatedDiskOptions = {},
): SimulatedDisk {
  const disk = new SimulatedDisk(options);
  for (const [name, bytes] of Object.entries(files)) {
    disk.poke(`${DIR}/${name}`, 0, bytes);
  }
  return disk;
}

let shared = testPool();

/**
 * Returns a place on a disk. All such places share their memory, because some tests open thousands
 * of logs. Blocks that a crash leaves leased are abandoned from time to time.
 */
export function placeOn(disk: SimulatedDisk): SimulatedPlace {
  if (shared.stats().inUseBytes > 64 * MIB) shared = testPool();
  const pool = shared;
  const prefix = `${DIR}/`;
  return {
    storage: disk,
    dir: DIR,
    pool,
    bytes: (name) => disk.peek(prefix + name),
    names: () =>
      disk.files().filter((path) => path.startsWith(prefix))
        .map((path) => path.slice(prefix.length)),
    remove: () => {},
  };
}

/** Runs a part of a test on a place with these files. */
export function on<T>(
  files: Files | SimulatedDisk,
  test: (place: SimulatedPlace) => Promise<T> | T,
): Promise<T> {
  const disk = files instanceof SimulatedDisk ? files : diskWith(files);
  return at(new SimulatedPlace(disk), test);
}

/** Compares the messages that were read with those that {@linkcode make} makes of these lengths. */
export function assertMade(
  read: readonly Read[],
  firstOffset: number,
  lengths: readonly number[],
  what = "",
): void {
  assertEquals(
    read.map(({ offset }) => offset),
    lengths.map((_, i) => firstOffset + i),
    what,
  );
  for (const [i, length] of lengths.entries()) {
    assertBytes(
      read[i]!.payload,
      payload(firstOffset + i, length),
      `${what} payload of ${firstOffset + i}`,
    );
  }
}

/** Compares bytes quickly, even tens of MiB. */
export function assertBytes(
  actual: Uint8Array,
  expected: Uint8Array,
  what = "bytes",
): void {
  assertEquals(actual.length, expected.length, `${what}: length`);
  const wrong = firstDifference(actual, expected);
  assert(wrong < 0, `${what}: byte ${wrong} differs`);
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  // Compares words where they are aligned, since segments have tens of MiB.
  const words = (bytes: Uint8Array) =>
    bytes.byteOffset % 4 === 0
      ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
      : undefined;
  const [x, y] = [words(a), words(b)];
  let i = 0;
  if (x !== undefined && y !== undefined) {
    while (i < x.length && x[i] === y[i]) i++;
    i *= 4;
  }
  for (; i < a.length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

/** Opens the log of a place synchronously, passes it on, and closes it. */
export function withLog<T>(
  place: SimulatedPlace,
  use: (log: Log) => T,
  options: LogOptions = {},
): T {
  const log = openLogSync(place, options);
  try {
    return use(log);
  } finally {
    log.closeSync();
  }
}

/** Opens the log of a place synchronously, reads all of it, and closes it. */
export function reopened(place: SimulatedPlace): Read[] {
  return withLog(place, (log) => drainSync(log));
}

/** Returns a copy with other bytes from a position on. */
export function patched(
  bytes: Uint8Array,
  position: number,
  patch: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(Math.max(bytes.length, position + patch.length));
  copy.set(bytes);
  copy.set(patch, position);
  return copy;
}

/** Returns a copy with one bit flipped. */
export function flipped(
  bytes: Uint8Array,
  position: number,
  bit = position % 8,
): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  copy[position]! ^= 1 << bit;
  return copy;
}

/** Concatenates the parts. */
export function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return joinedParts(parts);
}

/** Makes an index of these entries: offset, timestamp, position. */
export function indexOf(
  entries: readonly (readonly [number, number, number])[],
): Uint8Array<ArrayBuffer> {
  const words = new BigUint64Array(entries.flat().map((each) => BigInt(each)));
  return new Uint8Array(words.buffer);
}

/** Returns how many bytes of files with this suffix were read, from an operation on. */
export function bytesRead(disk: SimulatedDisk, suffix: string): number {
  return disk.trace.reduce(
    (sum, { kind, path, length }) =>
      kind === "read" && path.endsWith(suffix) ? sum + length! : sum,
    0,
  );
}

/**
 * Runs something on copies of a disk that crash before the first, the second, … operation, until it
 * ends without a crash. Gives each disk with what a choice of crash state left of it.
 */
export async function eachCrash(
  disk: SimulatedDisk,
  run: (place: SimulatedPlace) => Promise<unknown> | unknown,
  choices: readonly CrashChoice[],
  after: (left: SimulatedDisk, what: string) => Promise<void> | void,
): Promise<number> {
  for (let number = 1;; number++) {
    const copy = disk.crashState("none");
    copy.failAt(number, { crash: true });
    const place = placeOn(copy);
    let ended = false;
    try {
      await run(place);
      ended = true;
    } catch (error) {
      if (!isCrash(error)) throw error;
    }
    if (ended && !copy.crashed) return number - 1;
    for (const [i, choice] of choices.entries()) {
      const left = copy.crash(choice);
      const name = typeof choice === "string" ? choice : String(i);
      const { kind, path } = copy.trace.at(-1)!;
      await after(left, `crash at ${number} (${kind} ${path}), ${name}`);
    }
  }
}

/** Whether an error is that of a disk that crashed, or a consequence of it. */
export function isCrash(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof SimulatedCrashError) return true;
  }
  return false;
}

/**
 * Writes a file like a program that syncs nothing: its bytes and its name are in the page cache
 * only.
 */
export function writeUnsynced(
  place: { storage: Storage; pool: SimulatedPlace["pool"] },
  path: string,
  bytes: Uint8Array,
): void {
  const file = place.storage.openSync(path, { write: true, create: true });
  const unit = file.capabilities.physicalBlock;
  const length = Math.ceil(bytes.length / unit) * unit;
  if (length > 0) {
    using buffer = place.pool.acquireSync(length, { zeroed: true });
    buffer.bytes.set(bytes);
    file.writeSync(buffer, 0);
    file.truncateSync(bytes.length);
  }
  file.closeSync();
}
