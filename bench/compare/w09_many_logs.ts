/**
 * W9: a thousand logs open at once with default options, one durable message each.
 *
 * Every run has a directory of its own, which stays until the end of the whole comparison. Without
 * a journal, ext4 skips every inode that was deleted in the last minutes when it creates a file.
 */
import type { Context } from "./context.ts";
import { formatMicros } from "./measure.ts";
import type { ManyLogs } from "./programs/many_logs.ts";
import { programArguments, runProgram } from "./programs/run.ts";
import { countSyncs, straceObstacle } from "./references/strace.ts";
import { atMost, type Goal, median, ownFigure, type Row } from "./row.ts";
import { MIB } from "./sizes.ts";

const PROGRAM = "many_logs.ts";
const LOGS = 1000;
/** Number of logs in the trial that measures one log, and in the one whose syncs are counted. */
const TRIAL_LOGS = 16;
/** Maximum disk space of the logs in bytes. Fewer are opened if 1000 would take more. */
const DISK_BYTES = 8192 * MIB;
/** Maximum duration of a timed run in milliseconds. Fewer logs are timed on a slow disk. */
const TIMED_MS = 3000;
const PAYLOAD_BYTES = 256;

/** Measures W9. */
export async function w09(context: Context): Promise<Row[]> {
  context.show("W9: a trial");
  const trial = await openLogs(context, "trial", TRIAL_LOGS, "settle");
  const fits = Math.floor(DISK_BYTES / (trial.diskBytes / TRIAL_LOGS));
  const count = Math.min(context.count(LOGS), fits);
  context.show(`W9: ${count} logs at once`);
  const held = await openLogs(context, "held", count, "settle");
  return [
    ...heldRows(held, count),
    ...await timeRows(context, held, count),
  ];
}

function openLogs(
  context: Context,
  name: string,
  count: number,
  settle: "settle" | "" = "",
): Promise<ManyLogs> {
  const dir = context.path(`many-${name}`);
  return runProgram(context, PROGRAM, [dir, String(count), settle]);
}

/** Measures the resources of open logs. They are the same in each run, so one run is enough. */
function heldRows(held: ManyLogs, count: number): Row[] {
  const figure = (
    id: string,
    name: string,
    unit: string,
    goal: Goal,
    reference: string,
    value: number,
  ): Row =>
    ownFigure(
      {
        id: `W9.${id}`,
        name: `${count} logs open: ${name} of a log`,
        goal,
        unit,
        reference,
      },
      [value],
    );
  return [
    figure(
      "disk",
      "disk beyond the data",
      "MiB",
      atMost(1),
      "blocks of the files beyond their sizes",
      held.diskBytes / MIB / count,
    ),
    figure(
      "pool",
      "pool memory",
      "KiB",
      atMost(64),
      "mapped by the pool",
      held.poolBytes / 1024 / count,
    ),
    figure(
      "descriptors",
      "descriptors",
      "open",
      atMost(3),
      "/proc/self/fd",
      held.descriptors,
    ),
  ];
}

/** Measures the syncs of a log, and its time beside a file with the same number of syncs. */
async function timeRows(
  context: Context,
  held: ManyLogs,
  count: number,
): Promise<Row[]> {
  const obstacle = await straceObstacle();
  if (obstacle !== undefined) {
    context.leaveOut("W9.syncs, W9.time", obstacle);
    return [];
  }
  context.show("W9: counting syncs");
  const syncs = await syncsOfALog(context);
  const heldMs = held.openMs + held.closeMs;
  const timed = Math.max(
    TRIAL_LOGS,
    Math.min(count, Math.floor(count * TIMED_MS / heldMs)),
  );
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let pair = 1; pair <= context.pairs; pair++) {
    context.show(
      `W9: opening and closing ${timed} logs, ${pair} of ${context.pairs}`,
    );
    const { openMs, closeMs } = await openLogs(context, `${pair}`, timed);
    ours.push(openMs + closeMs);
    const dir = context.path(`synced-${pair}`);
    theirs.push(syncFiles(dir, timed, Math.round(syncs)));
  }
  const millis = (values: readonly number[]): string =>
    formatMicros(median(values) * 1e3);
  return [
    ownFigure(
      {
        id: "W9.syncs",
        name: "syncs of a log, from opening to closing",
        goal: atMost(10),
        unit: "syncs",
        reference: "strace",
      },
      [syncs],
    ),
    ownFigure(
      {
        id: "W9.time",
        name: `opening and closing ${timed} logs`,
        goal: atMost(1.5),
        unit: "ratio",
        reference: "Deno.FsFile, a file each, as many syncs",
        ours: millis(ours),
        theirs: millis(theirs),
      },
      ours.map((value, pair) => value / theirs[pair]!),
    ),
  ];
}

/** Returns the syncs of a log from opening to closing, by the difference that more logs make. */
async function syncsOfALog(context: Context): Promise<number> {
  const counted = async (count: number): Promise<number> => {
    const dir = context.path(`many-counted-${count}`);
    const args = programArguments(PROGRAM, [dir, String(count)]);
    return (await countSyncs(Deno.execPath(), args, dir)).syncs;
  };
  return (await counted(TRIAL_LOGS) - await counted(0)) / TRIAL_LOGS;
}

/** Creates files, then writes and syncs each a number of times. Returns the milliseconds. */
function syncFiles(dir: string, count: number, syncs: number): number {
  Deno.mkdirSync(dir);
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x5a);
  const files: Deno.FsFile[] = [];
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const file = Deno.openSync(`${dir}/${i}`, { write: true, createNew: true });
    for (let sync = 0; sync < syncs; sync++) {
      file.writeSync(payload);
      file.syncDataSync();
    }
    files.push(file);
  }
  for (const file of files) file.close();
  return performance.now() - start;
}
