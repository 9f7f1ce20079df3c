/** Writes lines of a text to a log, a file and a database. All of them are durable at the end. */
import { appendLines } from "../../lib/cli/_lines.ts";
import { FRAME_HEADER_BYTES } from "../../lib/codec/mod.ts";
import { Log } from "../../lib/log/mod.ts";
import type { BufferPool } from "../../lib/pool/mod.ts";
import { openSqlite } from "../compare/references/sqlite.ts";
import { writeWhole } from "../compare/references/synced_file.ts";
import type { Part } from "./sample.ts";
import { type Rate, type Stage, until } from "./stage.ts";

/** Maximum number of bytes of a side, so that the disk does not fill up. */
const LARGEST_BYTES = 512 * 1024 * 1024;

/** The results for the lines. */
export interface Ingest {
  rates: Rate[];
  /** Lines that were read back from the log and were equal. */
  comparedLines: number;
  readSeconds: number;
  /** How the bytes of the log reach the device. */
  tier: string;
}

/** Measures the three sides, one after the other. */
export async function ingest(
  stage: Stage,
  pool: BufferPool,
  sample: readonly Part[],
): Promise<Ingest> {
  const { rate, ...read } = await intoLog(stage, pool, sample);
  const file = await intoFile(stage, sample);
  const sqlite = await intoSqlite(stage, sample);
  return { ...read, rates: [rate, file, sqlite] };
}

/** Writes parts until the time is over, and makes them durable. Returns the lines per second. */
async function lines(
  stage: Stage,
  name: string,
  sample: readonly Part[],
  write: (part: Part) => Promise<unknown> | void,
  finish: () => Promise<unknown>,
): Promise<Rate & { parts: number }> {
  let parts = 0;
  let count = 0;
  let bytes = 0;
  const seconds = await until(stage, async () => {
    const part = sample[parts++ % sample.length]!;
    await write(part);
    count += part.lengths.length;
    bytes += part.bytes.length;
    stage.show(`${name}: ${count} lines`);
    return bytes < LARGEST_BYTES;
  });
  const start = performance.now();
  await finish();
  const total = seconds + (performance.now() - start) / 1000;
  return { name, perSecond: count / total, parts };
}

async function intoLog(
  stage: Stage,
  pool: BufferPool,
  sample: readonly Part[],
): Promise<Omit<Ingest, "rates"> & { rate: Rate }> {
  using dir = stage.directory();
  const log = await Log.open(dir.path, { pool });
  const { parts, ...rate } = await lines(
    stage,
    "Basalt",
    sample,
    (part) => appendLines(log, part),
    () => log.flush(),
  );
  await log.close();
  await using again = await Log.open(dir.path, { pool });
  const { comparedLines, readSeconds } = await compare(again, sample, parts);
  return { rate, comparedLines, readSeconds, tier: again.capabilities.tier };
}

/** Reads the log and compares each message with its line. */
async function compare(
  log: Log,
  sample: readonly Part[],
  parts: number,
): Promise<Pick<Ingest, "comparedLines" | "readSeconds">> {
  let part = 0;
  let line = 0;
  /** Where the line begins in its part. */
  let at = 0;
  let comparedLines = 0;
  const start = performance.now();
  for await (using batch of log.read()) {
    const { bytes, starts, lengths } = batch;
    for (let i = 0; i < batch.count; i++) {
      const expected = sample[part % sample.length]!;
      const length = lengths[i]!;
      let isEqual = part < parts && length === expected.lengths[line];
      const from = starts[i]! + FRAME_HEADER_BYTES;
      for (let k = 0; isEqual && k < length; k++) {
        isEqual = bytes[from + k] === expected.bytes[at + k];
      }
      if (!isEqual) {
        throw new Error(`Message ${comparedLines} differs from its line`);
      }
      comparedLines++;
      at += length;
      if (++line === expected.lengths.length) {
        [part, line, at] = [part + 1, 0, 0];
      }
    }
  }
  if (part < parts) throw new Error("The log ends before its lines");
  return { comparedLines, readSeconds: (performance.now() - start) / 1000 };
}

async function intoFile(
  stage: Stage,
  sample: readonly Part[],
): Promise<Rate> {
  using dir = stage.directory();
  using file = Deno.openSync(`${dir.path}/file`, { write: true, create: true });
  const { name, perSecond } = await lines(
    stage,
    "Deno.FsFile",
    sample,
    ({ bytes }) => writeWhole(file, bytes),
    () => file.syncData(),
  );
  return { name, perSecond };
}

/** Each part is a transaction. */
async function intoSqlite(
  stage: Stage,
  sample: readonly Part[],
): Promise<Rate> {
  using dir = stage.directory();
  await using database = await openSqlite(dir.path);
  const { name, perSecond } = await lines(
    stage,
    "node:sqlite",
    sample,
    ({ payloads }) => database.putMany(payloads),
    () => Promise.resolve(), // each transaction is durable
  );
  return { name, perSecond };
}
