/**
 * P12: opening a segment of 1 GiB whose writer was killed, with its index and without, and what a
 * sealed segment adds.
 */
import { BufferPool, Log } from "../../mod.ts";
import { formatBytes } from "../../lib/cli/_terminal.ts";
import type { Context } from "./context.ts";
import { appendWhenReady } from "./logs.ts";
import { formatMicros } from "./measure.ts";
import type { Opening } from "./programs/crashing_log.ts";
import { runAndKill } from "./programs/run.ts";
import { atLeast, atMost, median, ownFigure, type Row } from "./row.ts";
import { DATA_BYTES, MIB } from "./sizes.ts";

const PROGRAM = "crashing_log.ts";

/** Measures P12. */
export async function p12(context: Context): Promise<Row[]> {
  const dir = context.path("crashed");
  context.show("P12: writing a log and killing its writer");
  // Less than a segment's limit, so that it is the last segment.
  const bytes = context.bytes(DATA_BYTES) - 4 * MIB;
  await runAndKill(context, PROGRAM, ["write", dir, String(bytes)]);
  const open = (): Promise<Opening> =>
    runAndKill<Opening>(context, PROGRAM, ["open", dir]);
  const withIndex: Opening[] = [];
  const withoutIndex: Opening[] = [];
  for (let pair = 1; pair <= context.pairs; pair++) {
    context.show(`P12: opening after a kill, ${pair} of ${context.pairs}`);
    withIndex.push(await open());
    Deno.removeSync(`${dir}/${"0".repeat(20)}.index`);
    withoutIndex.push(await open());
  }
  Deno.removeSync(dir, { recursive: true });
  const shown = (opened: Opening[]): string =>
    `${formatMillis(opened.map(({ openMs }) => openMs))}, ${
      formatBytes(median(opened.map(({ scannedBytes }) => scannedBytes)))
    } walked`;
  return [
    ownFigure(
      {
        id: "P12.index",
        name: "opening 1 GiB after a kill",
        goal: atMost(1.5),
        unit: "ratio",
        reference: "reading 32 MiB",
        ours: shown(withIndex),
        theirs: formatMillis(withIndex.map(({ readMs }) => readMs)),
      },
      withIndex.map(({ openMs, readMs }) => openMs / readMs),
    ),
    ownFigure(
      {
        id: "P12.noIndex",
        name: "opening 1 GiB after a kill, index lost: bytes a second",
        goal: atLeast(0.95),
        unit: "ratio",
        reference: "reading the log, as in P8",
        ours: shown(withoutIndex),
        theirs: formatMillis(
          withoutIndex.map(({ scan }) => scan.seconds * 1e3),
        ),
      },
      withoutIndex.map(({ openMs, scan }) => scan.seconds * 1e3 / openMs),
    ),
    await sealed(context),
  ];
}

/**
 * Number of openings that are timed for one value. Each takes some syncs, which vary more than the
 * measured difference.
 */
const OPENINGS = 11;

/** Measures what a sealed segment of 1 GiB adds to opening, compared with a log without it. */
async function sealed(context: Context): Promise<Row> {
  using pool = new BufferPool();
  const dirs = { one: context.path("one"), two: context.path("two") };
  const payload = new Uint8Array(1000).fill(0x5a);
  const batch: Uint8Array[] = new Array(1000).fill(payload);
  const segmentBytes = context.bytes(DATA_BYTES) - MIB;
  {
    context.show("P12: writing a log of two segments");
    await using one = await Log.open(dirs.one, { pool });
    one.appendBatch(batch);
    await using two = await Log.open(dirs.two, { pool, segmentBytes });
    while (two.stats().rolls === 0) {
      for (let i = 0; i < 16; i++) await appendWhenReady(two, batch);
      await two.flush();
    }
  }
  const openMs = async (dir: string): Promise<number> => {
    const start = performance.now();
    const log = await Log.open(dir, { pool, segmentBytes });
    const ms = performance.now() - start;
    await log.close();
    return ms;
  };
  const added: number[] = [];
  const whole: number[] = [];
  for (let pair = 0; pair < context.pairs; pair++) {
    const [one, two]: [number[], number[]] = [[], []];
    for (let i = 0; i < OPENINGS; i++) {
      context.show("P12: opening closed logs");
      one.push(await openMs(dirs.one));
      two.push(await openMs(dirs.two));
    }
    added.push(median(two) - median(one));
    whole.push(median(two));
  }
  for (const dir of [dirs.one, dirs.two]) {
    Deno.removeSync(dir, { recursive: true });
  }
  return ownFigure(
    {
      id: "P12.sealed",
      name: "what a sealed segment of 1 GiB adds to opening",
      goal: atMost(1),
      unit: "ms",
      reference: "a log without it",
      theirs: `${formatMillis(whole)} the whole, synced`,
    },
    added,
  );
}

function formatMillis(values: readonly number[]): string {
  return formatMicros(median(values) * 1e3);
}
