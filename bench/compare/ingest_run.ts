/** The ingest of W7: lines of a text into a log, and the same number of bytes into a file. */
import { appendLines, type Lines, readLines } from "../../lib/cli/_lines.ts";
import { formatBytes } from "../../lib/cli/_terminal.ts";
import { Log } from "../../lib/log/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";
import type { MessageBatch } from "../../lib/segment/mod.ts";
import { MIB } from "./sizes.ts";

/** Measurements of the log. */
export interface LogRun {
  messages: number;
  logBytes: number;
  syncs: number;
  seconds: number;
}

/** Measurements of both sides. */
export interface IngestRun {
  /** The log's side. */
  basalt: LogRun;
  /** The same bytes through `Deno.FsFile`. */
  file: { seconds: number };
}

/**
 * Appends every line of a file to a log, closes it, opens it again, and compares everything with
 * the input. Then it writes the same bytes through `Deno.FsFile`.
 *
 * @param input The file.
 * @param dir An empty directory to work in.
 * @param show Shows the progress.
 */
export async function ingest(
  input: string,
  dir: string,
  show: (text: string) => void,
): Promise<IngestRun> {
  const basalt = await logRun(input, `${dir}/log`, show);
  const seconds = fileRun(`${dir}/log`, `${dir}/file`, basalt);
  return { basalt, file: { seconds } };
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

  const reopened = await Log.open(dir, { pool });
  await compare(reopened, input, show);
  await reopened.close();
  return { messages, logBytes, syncs, seconds };
}

/** Reads the whole log and compares it with the input. */
async function compare(
  log: Log,
  input: string,
  show: (text: string) => void,
): Promise<void> {
  using source = Deno.openSync(input);
  const expected = eachLine(readLines(source));
  const batches: AsyncIterator<MessageBatch> = log.read();
  let bytes = 0;
  for (;;) {
    const { value: batch, done } = await batches.next();
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
 * Writes the log's bytes again through Deno's own files, with the same number of syncs at even
 * intervals. Returns the elapsed seconds.
 */
function fileRun(dir: string, path: string, ours: LogRun): number {
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
  return ms / 1000;
}

function byName(a: Deno.DirEntry, b: Deno.DirEntry): number {
  return a.name < b.name ? -1 : 1;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
