import type { Command } from "commander";
import {
  type CursorInfo,
  inspectLog,
  type LogInspection,
  LogReader,
  type OpeningForecast,
  type OpeningReport,
  previewRetention,
  type RetentionReport,
  type SegmentInspection,
} from "../../log/mod.ts";
import { describeOwner } from "../../storage/mod.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import {
  formatBytes,
  formatCount,
  formatTable,
  formatTime,
} from "../terminal.ts";
import { cursorTable } from "./cursors.ts";

const HELP = `
Messages are not read, except at the ends of segments and where opening would read; basalt
verify reads them all.

Examples:
  basalt inspect data/log
      a table of the segments
  basalt inspect data/log --json
      the same as one JSON object`;

/** `basalt inspect`: what a log's directory holds. */
export function inspect(console: Console): Command {
  return command(
    "inspect",
    "Tell what a log's directory holds: segments, sizes, offsets, times, and what opening would do. Nothing is changed.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .option("--json", "one JSON object")
    .action(async (dir: string, options: { json?: true }) => {
      const inspection = await inspectLog(dir);
      const consumers = await inspectConsumers(dir);
      if (options.json) console.json({ ...inspection, ...consumers });
      else {
        console.line(inWords(inspection, console.columns));
        for (const line of consumersInWords(consumers, console.columns)) {
          console.line(line);
        }
      }
    });
}

function inWords(log: LogInspection, columns: number | undefined): string {
  const { path, identity, firstOffset, nextOffset, segments } = log;
  const lines = [
    `'${path}': ${state(log)}`,
    identity === undefined ? "no identity yet" : `identity ${identity}`,
    `${
      formatCount(nextOffset - firstOffset, "message")
    } at offsets [${firstOffset}, ${nextOffset}); ${
      formatBytes(log.dataBytes)
    } of data in ${formatCount(segments.length, "segment")}${prepared(log)}`,
    `opening ${forecast(log.opening)}`,
    ...clock(log),
  ];
  for (
    const [names, what] of [
      [log.temporary, "left by a writer that ended, opening removes them"],
      [log.kept, "taken out of the log and kept"],
      [log.odd, "not regular files, opening refuses them"],
      [log.foreign, "not the log's, left alone"],
    ] as const
  ) {
    if (names.length > 0) lines.push(`${what}: ${names.join(", ")}`);
  }
  if (segments.length > 0) lines.push("", table(segments, columns));
  return lines.join("\n");
}

function prepared({ preparedBytes, locked }: LogInspection): string {
  if (preparedBytes === 0) return "";
  const what = locked ? "prepared for messages to come" : "after the data";
  return `, and ${formatBytes(preparedBytes)} ${what}`;
}

/** Tells that the clock was ahead once, and fixed the times of the messages to come. */
function clock({ clockBehindMicros, segments }: LogInspection): string[] {
  // Less may be the clock of another machine.
  if (clockBehindMicros < 1e6) return [];
  const last = segments.findLast((each) => each.lastTimestamp !== undefined);
  const seconds = Math.round(clockBehindMicros / 1e6);
  return [
    `the last message is ${
      formatCount(seconds, "second")
    } ahead of the clock: until ${
      formatTime(last!.lastTimestamp!)
    }, all messages get that time`,
  ];
}

function state({ locked, closed, owner }: LogInspection): string {
  if (closed) return "closed";
  const writer = typeof owner === "object"
    ? `${
      describeOwner({ pid: owner.pid, since: owner.startedAt })
    }, opening ${owner.generation}, durable up to offset ${owner.durableOffset}`
    : "an unknown process";
  return locked ? `being written by ${writer}` : `left open by ${writer}`;
}

function forecast(opening: OpeningForecast): string {
  return opening.possible
    ? `would ${doings(opening.report).join("; ") || "have nothing to do"}`
    : `would be refused: ${opening.error.message}`;
}

/** What opening does, beside making the log writable. */
export function doings(report: OpeningReport): string[] {
  return [
    ...report.recovered.map((each) => {
      const { path, scannedBytes, cutBytes, rebuiltEntries } = each;
      return `recover '${path}': read ${formatBytes(scannedBytes)}, cut ${
        formatBytes(cutBytes)
      } after the last batch, write ${rebuiltEntries} index entries`;
    }),
    ...report.kept.map((path) => `keep what it cuts in '${path}'`),
    ...report.removed.map((name) => `remove '${name}'`),
  ];
}

function table(
  segments: readonly SegmentInspection[],
  columns: number | undefined,
): string {
  return formatTable(
    [
      [
        "segment",
        "messages",
        "data",
        "prepared",
        "index",
        "first message",
        "last message",
      ],
      ...segments.map((each) => [
        String(each.firstOffset),
        String(each.nextOffset - each.firstOffset),
        each.logBytes === undefined ? "missing" : formatBytes(each.dataBytes),
        each.preparedBytes === 0 ? "" : formatBytes(each.preparedBytes),
        size(each.indexBytes),
        time(each.firstTimestamp),
        time(each.lastTimestamp),
      ]),
    ],
    ["left"],
    columns,
  );
}

function size(bytes: number | undefined): string {
  return bytes === undefined ? "missing" : formatBytes(bytes);
}

function time(micros: number | undefined): string {
  return micros === undefined ? "" : formatTime(micros);
}

/** What `inspect` tells of consumers; an error where it cannot be known. */
interface Consumers {
  /** The cursors of the log. */
  cursors: CursorInfo[] | Error;
  /** What retention may remove now: the first segments that no cursor needs. */
  removable: RetentionReport | Error;
}

/** Looks at the cursors of a log, and at what they hold back. */
async function inspectConsumers(dir: string): Promise<Consumers> {
  return {
    cursors: await orError(new LogReader(dir).cursors()),
    removable: await orError(previewRetention(dir, { bytes: 0 })),
  };
}

async function orError<T>(found: Promise<T>): Promise<T | Error> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

/** The same as lines of text; none for a log without cursors and sealed segments. */
function consumersInWords(
  { cursors, removable }: Consumers,
  columns: number | undefined,
): string[] {
  const lines: string[] = [];
  if (cursors instanceof Error) lines.push("", `cursors: ${cursors.message}`);
  else if (cursors.length > 0) lines.push("", cursorTable(cursors, columns));
  if (removable instanceof Error) {
    lines.push("", `retention would fail: ${removable.message}`);
  } else if (removable.removedSegments > 0) {
    const { removedSegments, removedBytes } = removable;
    lines.push(
      "",
      `retention may remove ${formatCount(removedSegments, "segment")}, ${
        formatBytes(removedBytes)
      }: no cursor needs them`,
    );
  }
  return lines;
}
