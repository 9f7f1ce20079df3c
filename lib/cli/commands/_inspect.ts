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
import { command } from "../_command.ts";
import type { Console } from "../_console.ts";
import {
  formatBytes,
  formatCount,
  formatTable,
  formatTime,
} from "../_terminal.ts";
import { cursorTable } from "./_cursors.ts";

const HELP = `
It reads messages only at the ends of segments, and where opening would read them. basalt verify
reads all of them.

Examples:
  basalt inspect data/log
      a table of the segments
  basalt inspect data/log --json
      the same as one JSON object`;

/** `basalt inspect`: shows what a log's directory holds. */
export function inspect(console: Console): Command {
  return command(
    "inspect",
    "Show what a log's directory holds: segments, sizes, offsets, times, and what opening would do. Nothing is changed.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .option("--json", "print one JSON object")
    .action(async (dir: string, { json }: { json?: true }) => {
      const log = await inspectLog(dir);
      const asError = (error: Error): Error => error;
      const consumers: Consumers = {
        cursors: await new LogReader(dir).cursors().catch(asError),
        removable: await previewRetention(dir, { bytes: 0 }).catch(asError),
      };
      if (json) return console.json({ ...log, ...consumers });
      for (const line of describe(log)) console.text(line, "  ");
      if (log.segments.length > 0) {
        console.line(`\n${segmentTable(log.segments, console.columns)}`);
      }
      showConsumers(consumers, console);
    });
}

/** What `inspect` says of consumers; an error where it cannot be known. */
interface Consumers {
  /** The cursors of the log. */
  cursors: CursorInfo[] | Error;
  /** What retention may remove now: the first segments that no cursor needs. */
  removable: RetentionReport | Error;
}

function describe(log: LogInspection): string[] {
  const { identity, firstOffset, nextOffset, segments } = log;
  const lines = [
    `'${log.path}': ${describeState(log)}`,
    identity === undefined ? "no identity yet" : `identity ${identity}`,
    `${
      formatCount(nextOffset - firstOffset, "message")
    } at offsets [${firstOffset}, ${nextOffset}); ${
      formatBytes(log.dataBytes)
    } of data in ${formatCount(segments.length, "segment")}${
      describePrepared(log)
    }`,
    `opening ${describeOpening(log.opening)}`,
    ...describeClock(log),
  ];
  for (
    const [names, what] of [
      [log.temporary, "left by a writer that ended, opening removes them"],
      [log.kept, "taken out of the log and kept"],
      [log.odd, "not regular files, opening refuses them"],
      [log.foreign, "not files of the log, left alone"],
    ] as const
  ) {
    if (names.length > 0) lines.push(`${what}: ${names.join(", ")}`);
  }
  return lines;
}

function describePrepared({ preparedBytes, locked }: LogInspection): string {
  if (preparedBytes === 0) return "";
  const what = locked ? "prepared for messages to come" : "after the data";
  return `, and ${formatBytes(preparedBytes)} ${what}`;
}

/** Describes a clock that was ahead once, which fixes the times of the next messages. */
function describeClock(
  { clockBehindMicros, segments }: LogInspection,
): string[] {
  // A smaller difference may be the clock of another machine.
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

function describeState({ locked, closed, owner }: LogInspection): string {
  if (closed) return "closed";
  const writer = typeof owner === "object"
    ? `${
      describeOwner({ pid: owner.pid, since: owner.startedAt })
    }, opening ${owner.generation}, durable up to offset ${owner.durableOffset}`
    : "an unknown process";
  return locked ? `being written by ${writer}` : `left open by ${writer}`;
}

function describeOpening(opening: OpeningForecast): string {
  return opening.possible
    ? `would ${openingSteps(opening.report).join("; ") || "have nothing to do"}`
    : `would be refused: ${opening.error.message}`;
}

/** Describes what opening does besides making the log writable. */
export function openingSteps(report: OpeningReport): string[] {
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

function segmentTable(
  segments: readonly SegmentInspection[],
  columns: number | undefined,
): string {
  const size = (bytes: number | undefined): string =>
    bytes === undefined ? "missing" : formatBytes(bytes);
  const time = (micros: number | undefined): string =>
    micros === undefined ? "" : formatTime(micros);
  const header = ["segment", "messages", "data", "prepared", "index"];
  return formatTable(
    [
      [...header, "first time", "last time"],
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

/** Shows nothing for a log without cursors and without segments that retention may remove. */
function showConsumers(
  { cursors, removable }: Consumers,
  console: Console,
): void {
  if (cursors instanceof Error) console.text(`\ncursors: ${cursors.message}`);
  else if (cursors.length > 0) {
    console.line(`\n${cursorTable(cursors, console.columns)}`);
  }
  if (removable instanceof Error) {
    console.text(`\nretention would fail: ${removable.message}`);
  } else if (removable.removedSegments > 0) {
    const { removedSegments, removedBytes } = removable;
    console.text(
      `\nretention may remove ${formatCount(removedSegments, "segment")}, ${
        formatBytes(removedBytes)
      }: no cursor needs them`,
    );
  }
}
