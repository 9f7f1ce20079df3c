/** S1 to S5: the time that a segment takes in a log of 100 and in one of 10,000. */
import { Log, LogReader, verifyLog } from "../../mod.ts";
import type { Context } from "./context.ts";
import { formatMicros } from "./measure.ts";
import { atMost, median, ownFigure, type Row } from "./row.ts";

const FEW = 100;
/** Number of segments of the larger log. A scaled run has fewer. */
const MANY = 10_000;
const SEGMENT_BYTES = 16 * 1024;
/** A message that fills a segment, with the headers of its batch. */
const PAYLOAD_BYTES = SEGMENT_BYTES - 256 - 48;
/** How often the small log is measured for one value, because it takes a hundredth of the time. */
const REPEATS = 15;

/** The two closed logs of a run, by their number of segments. */
type Logs = ReadonlyMap<number, string>;

/** Processes all segments of a log. Returns the milliseconds. */
type Work = (dir: string, segments: number) => Promise<number>;

const written = new WeakMap<Context, Promise<Logs>>();

/** Measures S1: reading. */
export function s01(context: Context): Promise<Row[]> {
  return rows(context, "S1", "reading", async (dir, segments) => {
    let count = 0;
    const ms = await timed(async () => {
      for await (using batch of new LogReader(dir).read()) count += batch.count;
    });
    check(count, segments);
    return ms;
  });
}

/** Measures S2: verifying. */
export function s02(context: Context): Promise<Row[]> {
  return rows(context, "S2", "verifying", async (dir) => {
    let faults = 0;
    const ms = await timed(async () => {
      for await (const _ of verifyLog(dir)) faults++;
    });
    check(faults, 0);
    return ms;
  });
}

/** Measures S3: opening. */
export function s03(context: Context): Promise<Row[]> {
  return rows(context, "S3", "opening", async (dir, segments) => {
    let log: Log | undefined;
    const ms = await timed(async () => log = await Log.open(dir));
    check(log!.stats().segments, segments);
    await log!.close();
    return ms;
  });
}

/** Measures S4: truncating to the last segment. */
export function s04(context: Context): Promise<Row[]> {
  return rows(context, "S4", "truncating", async (dir, segments) => {
    const copy = context.path("truncated");
    copyFiles(dir, copy);
    try {
      await using log = await Log.open(copy);
      const ms = await timed(() => log.truncateBefore(segments - 1));
      check(log.stats().segments, 1);
      return ms;
    } finally {
      Deno.removeSync(copy, { recursive: true });
    }
  });
}

/** Measures S5: tailing, from the first message to the last. */
export function s05(context: Context): Promise<Row[]> {
  return rows(context, "S5", "tailing", async (dir, segments) => {
    let count = 0;
    const ms = await timed(async () => {
      for await (
        using batch of new LogReader(dir).tail({ from: 0, count: segments })
      ) count += batch.count;
    });
    check(count, segments);
    return ms;
  });
}

async function rows(
  context: Context,
  id: string,
  what: string,
  work: Work,
): Promise<Row[]> {
  const many = manyOf(context);
  const logs = await writtenLogs(context);
  const micros = async (segments: number): Promise<number> =>
    await work(logs.get(segments)!, segments) * 1e3 / segments;
  const [ofFew, ofMany]: [number[], number[]] = [[], []];
  await micros(FEW);
  for (let pair = 1; pair <= context.pairs; pair++) {
    context.show(`${id}: ${what}, ${pair} of ${context.pairs}`);
    const values: number[] = [];
    // Half before and half after, so that a drift affects both.
    for (let i = 0; i < REPEATS; i++) {
      if (i === REPEATS >> 1) ofMany.push(await micros(many));
      values.push(await micros(FEW));
    }
    ofFew.push(median(values));
  }
  return [
    ownFigure(
      {
        id,
        name: `${what} ${many} segments of 16 KiB: the time of a segment`,
        goal: atMost(1.5),
        unit: "ratio",
        reference: `${FEW} segments`,
        ours: formatMicros(median(ofMany)),
        theirs: formatMicros(median(ofFew)),
      },
      ofMany.map((value, pair) => value / ofFew[pair]!),
    ),
  ];
}

function manyOf(context: Context): number {
  return Math.max(2 * FEW, context.count(MANY));
}

/** Writes both logs, once for all rows. */
function writtenLogs(context: Context): Promise<Logs> {
  let logs = written.get(context);
  if (logs === undefined) written.set(context, logs = writeLogs(context));
  return logs;
}

async function writeLogs(context: Context): Promise<Logs> {
  const logs = new Map<number, string>();
  const payload = crypto.getRandomValues(new Uint8Array(PAYLOAD_BYTES));
  for (const segments of [FEW, manyOf(context)]) {
    const dir = context.path(`segments-${segments}`);
    await using log = await Log.open(dir, { segmentBytes: SEGMENT_BYTES });
    for (let i = 0; i < segments; i++) {
      if (i % FEW === 0) {
        context.show(`S: writing segments, ${i} of ${segments}`);
        await log.flush({ durability: "none" });
      }
      log.append(payload);
    }
    await log.flush();
    check(log.stats().segments, segments);
    logs.set(segments, dir);
  }
  return logs;
}

function copyFiles(from: string, to: string): void {
  Deno.mkdirSync(to);
  for (const { name } of Deno.readDirSync(from)) {
    Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** @throws {Error} If not everything was found, which would make the time meaningless. */
function check(found: number, expected: number): void {
  if (found !== expected) {
    throw new Error(`Found ${found} instead of ${expected}`);
  }
}
