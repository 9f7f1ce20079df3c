/**
 * Names of the files of a log.
 *
 * @module
 */

/** A file that marks the log as open, or as not closed. */
export const WRITER_MARK = "writer";

/** What a file that is not yet one of the log's ends in: never in `.log`, for a server reads whatever does. */
export const TEMPORARY_SUFFIX = ".tmp";

/** The common part of a segment's names: the offset of its first message in 20 decimal digits. */
export function segmentName(firstOffset: number): string {
  return firstOffset.toString().padStart(20, "0");
}

/** The first offset and the kind of a segment's file; `undefined` for any other name. */
export function parseSegmentName(
  name: string,
): { firstOffset: number; kind: "log" | "index" } | undefined {
  const match = /^(\d{20})\.(log|index)$/.exec(name);
  if (match === null) return undefined;
  const firstOffset = Number(match[1]);
  if (!Number.isSafeInteger(firstOffset)) return undefined;
  return { firstOffset, kind: match[2] as "log" | "index" };
}

/** Whether a name is that of a file which was being made when its writer died. */
export function isTemporaryName(name: string): boolean {
  return /^\d{20}\.(log|index|cut)\.tmp$/.test(name);
}

/** Whether a name is that of bytes which recovery or repair took out of the log and kept. */
export function isKeptName(name: string): boolean {
  return /^\d{20}\.(index\.)?cut(\.\d+)?$/.test(name);
}

/** A path below a directory. */
export function join(dir: string, name: string): string {
  return dir.endsWith("/") ? dir + name : `${dir}/${name}`;
}
