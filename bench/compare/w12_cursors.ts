/** W12: a cursor's commit beside a lone durable append, and reading with commits beside reading. */
import { BufferPool, type Cursor, type Log, LogReader } from "../../mod.ts";
import type { Context } from "./context.ts";
import { appendDurably, repeated } from "./durable.ts";
import { newLog, writtenLog } from "./logs.ts";
import { type Measured, P50, Stopwatch, THROUGHPUT } from "./measure.ts";
import { rounds } from "./rounds.ts";
import { atLeast, atMost, compareSides, type Row } from "./row.ts";
import { MIB } from "./sizes.ts";

const RUN_MS = 1000;
const PAYLOAD_BYTES = 256;
/** Number of offsets for commits. */
const OFFSETS = 200_000;
const READ_BYTES = 512 * MIB;
const MESSAGES_PER_COMMIT = 1000;

/** Measures W12. */
export async function w12(context: Context): Promise<Row[]> {
  return [...await commits(context), ...await reading(context)];
}

async function commits(context: Context): Promise<Row[]> {
  await using log = await newLog(context);
  await using committed = await newLog(context);
  const empty = { bytes: new Uint8Array(0), lengths: new Array(1000).fill(0) };
  while (committed.nextOffset < OFFSETS) committed.appendBatch(empty);
  await committed.flush();
  await using cursor = await committed.cursor("compare");
  const runs = await rounds(context, "W12, commits", RUN_MS, {
    Basalt: (ms) => commitAlone(committed, cursor, ms),
    append: (ms) => appendDurably(log, 1, PAYLOAD_BYTES, ms),
  });
  return [
    compareSides(
      {
        id: "W12.commit",
        name: "durable commits of a cursor, p50",
        goal: atMost(1.15),
      },
      P50,
      { name: "Basalt, commit", runs: runs.Basalt },
      { name: "Basalt, appendDurable of 256 B", runs: runs.append },
    ),
  ];
}

/** Commits offset by offset for a time, and awaits each commit. */
async function commitAlone(
  log: Log,
  cursor: Cursor,
  ms: number,
): Promise<Measured> {
  await cursor.seek("first");
  let next = cursor.position;
  return await repeated({ ms, bytes: 0 }, () => {
    if (next < log.durableOffset) return cursor.commit(++next);
    next = 0;
    return cursor.seek("first");
  });
}

async function reading(context: Context): Promise<Row[]> {
  using pool = new BufferPool();
  const dir = await writtenLog(context, "consumed", 1000, READ_BYTES, pool);
  const reader = new LogReader(dir, { pool });
  const runs = await rounds(context, "W12, reading", RUN_MS, {
    Basalt: (ms) => consume(reader, ms),
    read: (ms) => read(reader, ms),
  });
  Deno.removeSync(dir, { recursive: true });
  return [
    compareSides(
      {
        id: "W12.read",
        name: `reading with a commit each ${MESSAGES_PER_COMMIT} messages`,
        goal: atLeast(0.9),
      },
      THROUGHPUT,
      { name: "Basalt, cursor", runs: runs.Basalt },
      { name: "Basalt, read alone", runs: runs.read },
    ),
  ];
}

/**
 * Reads the whole log repeatedly for a time, and commits meanwhile. Commits run concurrently, and
 * are awaited at the end.
 */
async function consume(reader: LogReader, ms: number): Promise<Measured> {
  await using cursor = await reader.cursor("consumer");
  const watch = new Stopwatch();
  let bytes = 0;
  let operations = 0;
  do {
    await cursor.seek("first");
    const commits: Promise<void>[] = [];
    let committed = 0;
    for await (using batch of cursor.batches({ follow: false })) {
      operations += batch.count;
      bytes += batch.byteLength;
      while (committed + MESSAGES_PER_COMMIT <= batch.nextOffset) {
        committed += MESSAGES_PER_COMMIT;
        commits.push(cursor.commit(committed));
      }
    }
    await Promise.all(commits);
  } while (watch.ms < ms);
  return { ...watch.stop(), operations, bytes };
}

async function read(reader: LogReader, ms: number): Promise<Measured> {
  const watch = new Stopwatch();
  let bytes = 0;
  let operations = 0;
  do {
    for await (using batch of reader.read({ durable: true })) {
      operations += batch.count;
      bytes += batch.byteLength;
    }
  } while (watch.ms < ms);
  return { ...watch.stop(), operations, bytes };
}
