/**
 * What the tests of opening, recovery and reading share: segments made byte by byte, disks that hold them, and what must be found there.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import {
  INDEX_ENTRY_BYTES,
  stamp,
  writeIndexEntry,
} from "../../lib/codec/mod.ts";
import type { Log, LogOptions } from "../../lib/log/mod.ts";
import type { Storage } from "../../lib/storage/mod.ts";
import {
  type CrashChoice,
  SimulatedCrash,
  SimulatedDisk,
  type SimulatedDiskOptions,
} from "@basalt/io/testing";
import {
  at,
  drainSync,
  HEADER,
  MIB,
  openLogSync,
  payload,
  type Read,
  segment,
  SimulatedPlace,
  testPool,
} from "./support.ts";

/** The directory of the log on a simulated disk. */
export const DIR = "/log";
/** The append time of messages that are made here, in microseconds. */
export const TIME = 1_700_000_000_000_000;

/** A segment's bytes. */
export interface Made {
  firstOffset: number;
  log: Uint8Array<ArrayBuffer>;
  index: Uint8Array<ArrayBuffer>;
  /** Where each message begins, and behind them where the last one ends. */
  starts: number[];
}

/** The files of a log's directory by name. */
export type Files = Record<string, Uint8Array>;

/** A segment of messages with payloads of these lengths: `payload(offset, length)`. */
export function make(
  firstOffset: number,
  lengths: readonly number[],
  timeOf: (offset: number) => number = () => TIME,
): Made {
  const starts = [0];
  for (const length of lengths) starts.push(starts.at(-1)! + HEADER + length);
  const log = new Uint8Array(starts.at(-1)!);
  const index = new Uint8Array(lengths.length * INDEX_ENTRY_BYTES);
  const seed = new Uint8Array(32).fill(firstOffset + 1);
  for (let from = 0; from < lengths.length;) {
    const timestamp = timeOf(firstOffset + from);
    let to = from + 1;
    while (to < lengths.length && timeOf(firstOffset + to) === timestamp) to++;
    const records = new Uint32Array(2 * (to - from));
    for (let i = from; i < to; i++) {
      log.set(payload(firstOffset + i, lengths[i]!), starts[i]! + HEADER);
      records[2 * (i - from)] = lengths[i]!;
    }
    stamp({
      bytes: log,
      start: starts[from]!,
      records,
      count: to - from,
      index: index.subarray(from * INDEX_ENTRY_BYTES, to * INDEX_ENTRY_BYTES),
      firstOffset: firstOffset + from,
      timestamp,
      relativeOffset: from,
      position: starts[from]!,
      seed,
    });
    from = to;
  }
  return { firstOffset, log, index, starts };
}

/** The files of segments. */
export function filesOf(...segments: Made[]): Files {
  return Object.fromEntries(segments.flatMap(({ firstOffset, log, index }) => [
    [`${segment(firstOffset)}.log`, log],
    [`${segment(firstOffset)}.index`, index],
  ]));
}

/** The mark of a writer that did not close. */
export const MARK: Files = {
  writer: new TextEncoder().encode(`4711 ${TIME}\n`),
};

/** A disk that holds the files, all durable. */
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
 * A place on a disk whose memory is shared by all such places: for tests that open logs by the thousand. What a crash leaves leased is
 * left behind from time to time.
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

/** Compares messages that were read with those that {@linkcode make} makes of these lengths. */
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

/** Compares bytes; quick for many of them. */
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
  // Words where they are aligned: segments have tens of MiB.
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

/** Opens the log of a place, blocking, and hands it over; it is closed afterwards. */
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

/** Opens the log of a place and reads all of it, blocking; then closes it. */
export function reopened(place: SimulatedPlace): Read[] {
  return withLog(place, (log) => drainSync(log));
}

/** A copy with other bytes from a position on. */
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

/** A copy with one bit flipped. */
export function flipped(
  bytes: Uint8Array,
  position: number,
  bit = position % 8,
): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  copy[position]! ^= 1 << bit;
  return copy;
}

/** The parts, one behind the other. */
export function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(
    parts.reduce((sum, part) => sum + part.length, 0),
  );
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}

/** An index of these entries: relative offset, position of the end, timestamp. */
export function indexOf(
  entries: readonly (readonly [number, number, number])[],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(entries.length * INDEX_ENTRY_BYTES);
  for (const [i, [relativeOffset, position, timestamp]] of entries.entries()) {
    writeIndexEntry(bytes, i, { relativeOffset, position, timestamp });
  }
  return bytes;
}

/** Bytes that a disk was asked for in reads of files whose name ends so, from an operation on. */
export function bytesRead(disk: SimulatedDisk, suffix: string): number {
  return disk.trace.reduce(
    (sum, { kind, path, length }) =>
      kind === "read" && path.endsWith(suffix) ? sum + length! : sum,
    0,
  );
}

/** Runs something on copies of a disk that crash before the first, the second, … operation, until it ends without; gives each with what a choice left of it. */
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

/** Whether an error is that of a disk that crashed, or comes of it. */
export function isCrash(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof SimulatedCrash) return true;
  }
  return false;
}

/** Writes a file in the way of a program that syncs nothing: its bytes are in the page cache, its name too. */
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
