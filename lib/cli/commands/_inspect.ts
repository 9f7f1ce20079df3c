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
import { command, type MakeCommand } from "../_command.ts";
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
export const inspect: MakeCommand = (console) =>
  command(
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

/** What `inspect` says of consumers; an error where it cannot be known. */
interface Consumers {
  /** The cursors of the log. */
  cursors: CursorInfo[] | Error;
  /** What retention may remove now: the first segments that no cursor needs. */
  removable: RetentionReport | Error;
}

function describe(log: LogInspection): string[] {
  const { identity, firstOffset, nextOffset, segments } = log;
  const messages = formatCount(nextOffset - firstOffset, "message");
  const data = formatBytes(log.dataBytes);
  const files = formatCount(segments.length, "segment");
  const prepared = describePrepared(log);
  const lines = [
    `'${log.path}': ${describeState(log)}`,
    identity === undefined ? "no identity yet" : `identity ${identity}`,
    `${messages} at offsets [${firstOffset}, ${nextOffset}); ${data} of data in ${files}${prepared}`,
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
  const ahead = formatCount(Math.round(clockBehindMicros / 1e6), "second");
  const until = formatTime(last!.lastTimestamp!);
  return [
    `the last message is ${ahead} ahead of the clock: until ${until}, all messages get that time`,
  ];
}

function describeState({ locked, closed, owner }: LogInspection): string {
  if (closed) return "closed";
  let writer = "an unknown process";
  if (typeof owner === "object") {
    const { pid, startedAt: since, generation, durableOffset } = owner;
    const process = describeOwner({ pid, since });
    writer =
      `${process}, opening ${generation}, durable up to offset ${durableOffset}`;
  }
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
      const read = formatBytes(each.scannedBytes);
      const cut = formatBytes(each.cutBytes);
      return `recover '${each.path}': read ${read}, cut ${cut} after the last batch, write ${each.rebuiltEntries} index entries`;
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
    const segments = formatCount(removable.removedSegments, "segment");
    const bytes = formatBytes(removable.removedBytes);
    console.text(
      `\nretention may remove ${segments}, ${bytes}: no cursor needs them`,
    );
  }
}
