/**
 * Names of the files of a log, as `docs/format.md#files-of-a-log` lists them.
 *
 * @module
 */

/** Name of the file with the identity and the first offset of the log. */
export const META_NAME = "meta";

/** Name of the owner file: a writer has the log open, or did not close it. */
export const OWNER_NAME = "writer";

/** Name of the directory with the files of cursors. */
export const CURSORS_NAME = "cursors";

/** Suffix of an incomplete file. It is not `.log`, because an Iggy server reads every such file. */
export const TEMPORARY_SUFFIX = ".tmp";

/** One of the two files of a segment. */
export type SegmentFileKind = "log" | "index";

/** The meaning of a name in a log's directory. */
export type NameClass =
  | { class: "segment"; firstOffset: number; kind: SegmentFileKind }
  | { class: "meta" | "owner" | "temporary" | "cut" | "foreign" };

/**
 * Returns the common part of a segment's names: the offset of its first message in 20 decimal
 * digits.
 */
export function segmentName(firstOffset: number): string {
  return firstOffset.toString().padStart(20, "0");
}

/** Returns the name of a segment's file. */
export function segmentFileName(
  firstOffset: number,
  kind: SegmentFileKind,
): string {
  return `${segmentName(firstOffset)}.${kind}`;
}

/** Returns the path of a segment's file. */
export function segmentPath(
  dir: string,
  firstOffset: number,
  kind: SegmentFileKind,
): string {
  return join(dir, segmentFileName(firstOffset, kind));
}

/** Parses the name of a segment's file; returns `undefined` for any other name. */
export function parseSegmentName(
  name: string,
): { firstOffset: number; kind: SegmentFileKind } | undefined {
  const match = /^(\d{20})\.(log|index)$/.exec(name);
  if (match === null) return undefined;
  const firstOffset = Number(match[1]);
  if (!Number.isSafeInteger(firstOffset)) return undefined;
  return { firstOffset, kind: match[2] as SegmentFileKind };
}

/** Returns the meaning of the name of a regular file. */
export function classifyName(name: string): NameClass {
  const segment = parseSegmentName(name);
  if (segment !== undefined) return { class: "segment", ...segment };
  if (name === META_NAME) return { class: "meta" };
  if (name === OWNER_NAME) return { class: "owner" };
  if (isCutName(name)) return { class: "cut" };
  return { class: isTemporaryName(name) ? "temporary" : "foreign" };
}

/** Whether a file has bytes that recovery or repair removed from the log. */
function isCutName(name: string): boolean {
  return /^\d{20}\.(\d+|index)\.\d+\.cut$/.test(name);
}

/** Returns the first offset of the segment of a `.cut` file; 0 if its name has none. */
export function cutFirstOffset(name: string): number {
  const match = /^(\d{20})\.\d+\.\d+\.cut$/.exec(name);
  const firstOffset = Number(match?.[1] ?? 0);
  return Number.isSafeInteger(firstOffset) ? firstOffset : 0;
}

/** Whether a path is that of a `.cut` file, complete or not. */
export function isCutPath(path: string): boolean {
  return path.endsWith(".cut") || path.endsWith(`.cut${TEMPORARY_SUFFIX}`);
}

/** Whether a name is the temporary name of a file of a log. */
function isTemporaryName(name: string): boolean {
  if (!name.endsWith(TEMPORARY_SUFFIX)) return false;
  const future = name.slice(0, -TEMPORARY_SUFFIX.length);
  return !["temporary", "foreign"].includes(classifyName(future).class);
}

/** Returns a path below a directory. */
export function join(dir: string, name: string): string {
  return dir.endsWith("/") ? dir + name : `${dir}/${name}`;
}
