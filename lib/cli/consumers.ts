import {
  type CursorInfo,
  LogReader,
  previewRetention,
  type RetentionReport,
} from "../log/mod.ts";
import { cursorTable } from "./commands/cursors.ts";
import { formatBytes, formatCount } from "./terminal.ts";

/** What `inspect` tells of consumers; an error where it cannot be known. */
export interface Consumers {
  /** The cursors of the log. */
  cursors: CursorInfo[] | Error;
  /** What retention may remove now: the first segments that no cursor needs. */
  removable: RetentionReport | Error;
}

/** Looks at the cursors of a log, and at what they hold back. */
export async function inspectConsumers(dir: string): Promise<Consumers> {
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
export function consumersInWords(
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
