import { drive } from "../../base/mod.ts";
import { readCursors } from "../cursor/cursor_file.ts";
import { inspectLog } from "../inspect.ts";
import { type LogReaderOptions, placeOf } from "../log_options.ts";
import { checkRetain, planRetention, type RetainNowOptions } from "./plan.ts";
import type { RetentionReport } from "./retention.ts";

/**
 * Returns what {@linkcode Log.retain} would remove from a log now. It takes no lock and changes
 * nothing.
 *
 * @throws {Deno.errors.NotFound} If there is no log in the directory.
 * @throws {Deno.errors.InvalidData} If the file of a cursor is damaged.
 *
 * @example A log of one segment
 * ```ts
 * import { Log, previewRetention } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   await log.appendDurable("hello");
 * }
 * // The last segment always stays.
 * assertEquals((await previewRetention(dir, { bytes: 0 })).removedSegments, 0);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export async function previewRetention(
  path: string | URL,
  retain: RetainNowOptions,
  options: LogReaderOptions = {},
): Promise<RetentionReport> {
  checkRetain("preview retention", retain);
  const place = placeOf("preview retention", path, options);
  const { segments, firstOffset } = await inspectLog(place.dir, options);
  const counted = segments.map((segment) => ({
    ...segment,
    byteLength: segment.dataBytes,
  }));
  const active = counted.pop();
  const { count, bytes, passed } = await drive(planRetention({
    sealed: counted,
    activeBytes: active?.dataBytes ?? 0,
    cursors: await drive(readCursors(place)),
    now: place.storage.now(),
    // deno-lint-ignore require-yield -- it is known
    *lastTimestamp(i) {
      return counted[i]!.lastTimestamp ?? Infinity;
    },
  }, retain));
  return {
    firstOffset: counted[count - 1]?.nextOffset ?? firstOffset,
    removedSegments: count,
    removedBytes: bytes,
    passedCursors: passed,
  };
}
