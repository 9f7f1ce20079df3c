import { UnsupportedError } from "../lib/native/mod.ts";
import { BufferPool } from "../lib/pool/mod.ts";
import type { MessageBatch } from "../lib/segment/mod.ts";
import { type Capabilities, DirectFile } from "../lib/storage/mod.ts";
import { Log } from "../lib/log/mod.ts";
import { appendLines, type Lines, readLines } from "../lib/cli/lines.ts";
import { formatBytes, formatTable } from "../lib/cli/terminal.ts";

const MIB = 1024 * 1024;
/** Without a file, the checkout's text is repeated up to this size. */
const SAMPLE_BYTES = 256 * MIB;
const TEXT = /\.(ts|rs|md|json|toml|txt)$/;

/** What was measured of one way of writing. */
export interface Written {
  seconds: number;
  cachedPages: number;
}

/** What the log's side of the demonstration measured. */
export interface LogRun extends Written {
  messages: number;
  bytes: number;
  logBytes: number;
  syncs: number;
  readSeconds: number;
  poolPeakBytes: number;
  capabilities: Capabilities;
}

/** What the demonstration measured. */
export interface Demonstration {
  /** The file whose lines were the messages. */
  input: string;
  /** The log's side. */
  basalt: LogRun;
  /** The same bytes through `Deno.FsFile`. */
  file: Written;
}

/**
 * Appends every line of a file to a log, closes, reopens, reads everything back verified and
 * compares; then writes the same bytes through `Deno.FsFile`.
 *
 * @param input The file; without one, the checkout's own text is repeated.
 * @param dir An empty directory to work in.
 * @param show Told what is being done.
 */
export async function demonstrate(
  input: string | undefined,
  dir: string,
  show: (text: string) => void,
): Promise<Demonstration> {
  const path = input ?? makeSample(`${dir}/input`);
  const basalt = await logRun(path, `${dir}/log`, show);
  const file = fileRun(`${dir}/log`, `${dir}/file`, basalt);
  return { input: path, basalt, file };
}

async function logRun(
  input: string,
  dir: string,
  show: (text: string) => void,
): Promise<LogRun> {
  using pool = new BufferPool();
  const size = Deno.statSync(input).size;
  using source = Deno.openSync(input);
  const log = await Log.open(dir, { pool });
  let messages = 0;
  let bytes = 0;
  const start = performance.now();
  for (const lines of readLines(source)) {
    await appendLines(log, lines);
    messages += lines.lengths.length;
    bytes += lines.bytes.length;
    show(`appending ${formatBytes(bytes)} of ${formatBytes(size)}`);
  }
  await log.flush();
  const seconds = (performance.now() - start) / 1000;
  const { syncs, appendedBytes: logBytes } = log.stats();
  await log.close();
  const cachedPages = countCachedPages(dir);

  const reopened = await Log.open(dir, { pool });
  const readSeconds = await compare(reopened, input, show);
  const capabilities = reopened.capabilities;
  await reopened.close();
  return {
    messages,
    bytes,
    logBytes,
    syncs,
    seconds,
    cachedPages,
    readSeconds,
    poolPeakBytes: pool.stats().peakMappedBytes,
    capabilities,
  };
}

/**
 * Reads the whole log and compares it with the input; answers the seconds that the reading took.
 */
async function compare(
  log: Log,
  input: string,
  show: (text: string) => void,
): Promise<number> {
  using source = Deno.openSync(input);
  const expected = eachLine(readLines(source));
  const batches: AsyncIterator<MessageBatch> = log.read();
  let readMs = 0;
  let bytes = 0;
  for (;;) {
    const start = performance.now();
    const { value: batch, done } = await batches.next();
    readMs += performance.now() - start;
    if (done) break;
    for (let i = 0; i < batch.count; i++) {
      const payload = batch.payload(i);
      const line: Uint8Array | undefined = expected.next().value;
      if (line === undefined || !sameBytes(payload, line)) {
        throw new Error(
          `Message ${batch.offset(i)} is not line ${
            batch.offset(i) + 1
          } of the input`,
        );
      }
      bytes += payload.length;
    }
    batch.drop();
    show(`verifying ${formatBytes(bytes)}`);
  }
  if (!expected.next().done) throw new Error("The log ends before the input");
  return readMs / 1000;
}

function* eachLine(parts: Iterable<Lines>): Generator<Uint8Array> {
  for (const { bytes, lengths } of parts) {
    let at = 0;
    for (const length of lengths) {
      yield bytes.subarray(at, at + length);
      at += length;
    }
  }
}

/**
 * The log's bytes once more, through Deno's own files: as many syncs as the log made, evenly
 * spread.
 */
function fileRun(dir: string, path: string, ours: LogRun): Written {
  const bytes = new Uint8Array(MIB);
  using file = Deno.openSync(path, { write: true, createNew: true });
  const step = ours.logBytes / Math.max(1, ours.syncs);
  let written = 0;
  let synced = 0;
  let ms = 0;
  for (const { name } of [...Deno.readDirSync(dir)].sort(byName)) {
    if (!name.endsWith(".log")) continue;
    using source = Deno.openSync(`${dir}/${name}`);
    for (;;) {
      const read = source.readSync(bytes);
      if (read === null) break;
      const start = performance.now();
      for (let at = 0; at < read;) {
        at += file.writeSync(bytes.subarray(at, read));
      }
      written += read;
      while (synced < ours.syncs && written >= (synced + 1) * step) {
        file.syncDataSync();
        synced++;
      }
      ms += performance.now() - start;
    }
  }
  const start = performance.now();
  if (synced < ours.syncs) file.syncDataSync();
  ms += performance.now() - start;
  return { seconds: ms / 1000, cachedPages: cachedPagesOf(path) };
}

function byName(a: Deno.DirEntry, b: Deno.DirEntry): number {
  return a.name < b.name ? -1 : 1;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function countCachedPages(dir: string): number {
  let pages = 0;
  for (const { name } of Deno.readDirSync(dir)) {
    pages += cachedPagesOf(`${dir}/${name}`);
  }
  return pages;
}

/**
 * Pages of a file in the page cache (`cachestat(2)`, Linux 6.5); NaN where the kernel cannot tell.
 */
function cachedPagesOf(path: string): number {
  using file = DirectFile.openSync(path);
  try {
    return file.verifyDirectSync().cachedPages;
  } catch (error) {
    if (error instanceof UnsupportedError) return NaN;
    throw error;
  }
}

/** Repeats the text files of the checkout into one file. */
function makeSample(path: string): string {
  const root = new URL("../", import.meta.url);
  if (root.protocol !== "file:") {
    throw new Error(
      "Give a file: this is no checkout whose text could be used",
    );
  }
  const parts: Uint8Array[] = [];
  const visit = (dir: string): void => {
    for (const entry of [...Deno.readDirSync(dir)].sort(byName)) {
      const child = `${dir}/${entry.name}`;
      if (
        entry.isDirectory && !/^(\.|target$|node_modules$)/.test(entry.name)
      ) {
        visit(child);
      } else if (entry.isFile && TEXT.test(entry.name)) {
        parts.push(Deno.readFileSync(child));
      }
    }
  };
  visit(decodeURIComponent(root.pathname).replace(/\/$/, ""));
  using file = Deno.openSync(path, { write: true, createNew: true });
  for (let size = 0; size < SAMPLE_BYTES;) {
    for (const part of parts) {
      const wanted = part.subarray(0, SAMPLE_BYTES - size);
      for (let at = 0; at < wanted.length;) {
        at += file.writeSync(wanted.subarray(at));
      }
      size += wanted.length;
    }
  }
  return path;
}

/** The figures side by side. */
export function formatDemonstration(
  { input, basalt: ours, file: theirs }: Demonstration,
): string {
  const rate = (bytes: number, seconds: number): string =>
    `${(bytes / 1e6 / seconds).toFixed(0)} MB/s`;
  const { capabilities } = ours;
  const table = formatTable([
    ["", "Basalt", "Deno.FsFile", "ratio"],
    ["messages", String(ours.messages), "", ""],
    ["payload", formatBytes(ours.bytes), "", ""],
    ["log", formatBytes(ours.logBytes), formatBytes(ours.logBytes), ""],
    ["syncs", String(ours.syncs), String(ours.syncs), ""],
    [
      "append, durable",
      `${ours.seconds.toFixed(2)} s`,
      `${theirs.seconds.toFixed(2)} s`,
      "",
    ],
    [
      "log bytes a second",
      rate(ours.logBytes, ours.seconds),
      rate(ours.logBytes, theirs.seconds),
      `${(theirs.seconds / ours.seconds).toFixed(2)}`,
    ],
    ["read, verified", `${ours.readSeconds.toFixed(2)} s`, "", ""],
    ["log bytes a second", rate(ours.logBytes, ours.readSeconds), "", ""],
    [
      "pages in the page cache",
      String(ours.cachedPages),
      String(theirs.cachedPages),
      "",
    ],
    ["pool's peak", formatBytes(ours.poolPeakBytes), "", ""],
  ]);
  return [
    `${input}: ${ours.messages} messages compared, all equal`,
    "",
    table,
    "",
    `tier: ${capabilities.tier}, ${capabilities.tierReason}`,
    "Deno.FsFile writes ready bytes; Basalt also splits lines, stamps headers, hashes and indexes them in its time",
  ].join("\n");
}
