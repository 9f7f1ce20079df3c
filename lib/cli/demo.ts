import { Unsupported } from "../native/mod.ts";
import { BufferPool } from "../pool/mod.ts";
import { Backpressure, type MessageBatch } from "../segment/mod.ts";
import { type Capabilities, DirectFile } from "../storage/mod.ts";
import { Log } from "../log/mod.ts";
import { readLines } from "./lines.ts";
import { formatBytes, formatTable, Progress } from "./terminal.ts";

const MIB = 1024 * 1024;
/** Without a file, the checkout's text is repeated up to this size. */
const SAMPLE_BYTES = 256 * MIB;
const TEXT = /\.(ts|rs|md|json|toml|txt)$/;

/** What was measured of one way of writing. */
interface Written {
  seconds: number;
  cachedPages: number;
}

/** What the log's side of the demonstration measured. */
interface LogRun extends Written {
  messages: number;
  bytes: number;
  logBytes: number;
  syncs: number;
  readSeconds: number;
  poolPeakBytes: number;
  capabilities: Capabilities;
}

/**
 * Appends every line of a file to a log, closes, reopens, reads everything back verified and compares; then writes the same bytes through `Deno.FsFile` and prints both.
 *
 * @param args The file, or nothing for the checkout's own text.
 * @param root The checkout.
 * @returns The exit code.
 */
export async function demo(
  args: readonly string[],
  root: string,
): Promise<number> {
  if (args.length > 1 || args[0]?.startsWith("-")) {
    console.error("Usage: deno task demo [FILE]");
    return 2;
  }
  // Beside the checkout, not in /tmp: that is often memory.
  const dir = Deno.makeTempDirSync({ dir: root, prefix: ".demo-" });
  const clean = (): void => Deno.removeSync(dir, { recursive: true });
  const interrupted = (): void => {
    clean();
    Deno.exit(130);
  };
  Deno.addSignalListener("SIGINT", interrupted);
  try {
    const input = args[0] ?? makeSample(root, `${dir}/input`);
    const ours = await logRun(input, `${dir}/log`);
    const theirs = fileRun(`${dir}/log`, `${dir}/file`, ours);
    print(input, ours, theirs);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    Deno.removeSignalListener("SIGINT", interrupted);
    clean();
  }
}

async function logRun(input: string, dir: string): Promise<LogRun> {
  using pool = new BufferPool();
  const size = Deno.statSync(input).size;
  const progress = new Progress();
  const log = await Log.open(dir, { pool });
  let messages = 0;
  let bytes = 0;
  let start: number | undefined;
  using source = Deno.openSync(input);
  for (const line of readLines(source)) {
    start ??= performance.now();
    for (;;) {
      try {
        log.append(line);
        break;
      } catch (error) {
        if (!(error instanceof Backpressure)) throw error;
        progress.show(
          `appending ${formatBytes(bytes)} of ${formatBytes(size)}`,
        );
        await log.ready();
      }
    }
    messages++;
    bytes += line.length;
  }
  await log.flush();
  const seconds = (performance.now() - (start ?? performance.now())) / 1000;
  const { syncs, appendedBytes: logBytes } = log.stats();
  await log.close();
  const cachedPages = countCachedPages(dir);

  const reopened = await Log.open(dir, { pool });
  const readSeconds = await compare(reopened, input, progress);
  const capabilities = reopened.capabilities;
  await reopened.close();
  progress.end();
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

/** Reads the whole log and compares it with the input; answers the seconds that the reading took. */
async function compare(
  log: Log,
  input: string,
  progress: Progress,
): Promise<number> {
  using source = Deno.openSync(input);
  const expected = readLines(source);
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
    progress.show(`verifying ${formatBytes(bytes)}`);
  }
  if (!expected.next().done) throw new Error("The log ends before the input");
  return readMs / 1000;
}

/** The log's bytes once more, through Deno's own files: as many syncs as the log made, evenly spread. */
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

/** Pages of a file in the page cache (`cachestat(2)`, Linux 6.5); NaN where the kernel cannot tell. */
function cachedPagesOf(path: string): number {
  using file = DirectFile.openSync(path);
  try {
    return file.verifyDirectSync().cachedPages;
  } catch (error) {
    if (error instanceof Unsupported) return NaN;
    throw error;
  }
}

/** Repeats the text files below a directory into one file. */
function makeSample(root: string, path: string): string {
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
  visit(root.replace(/\/$/, ""));
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

function print(input: string, ours: LogRun, theirs: Written): void {
  const rate = (bytes: number, seconds: number): string =>
    `${(bytes / 1e6 / seconds).toFixed(0)} MB/s`;
  const { capabilities } = ours;
  console.log(`\n${input}: ${ours.messages} messages compared, all equal\n`);
  console.log(formatTable([
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
  ]));
  console.log(`\ntier: ${capabilities.tier}, ${capabilities.tierReason}`);
  console.log(
    "Deno.FsFile writes ready bytes; Basalt also splits lines, stamps headers, hashes and indexes them in its time",
  );
}
