import { drive } from "../../base/mod.ts";
import { absolutePath } from "../../storage/mod.ts";
import { readCursors } from "../cursor/cursor_file.ts";
import { inspectLog } from "../inspect.ts";
import {
  completeReaderOptions,
  type LogReaderOptions,
} from "../log_options.ts";
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
  const dir = absolutePath("preview retention", path);
  const { storage, pool } = completeReaderOptions(options);
  const { segments, firstOffset } = await inspectLog(dir, options);
  const counted = segments.map((segment) => ({
    ...segment,
    byteLength: segment.dataBytes,
  }));
  const active = counted.pop();
  const plan = await drive(function* () {
    return yield* planRetention({
      sealed: counted,
      activeBytes: active?.dataBytes ?? 0,
      cursors: yield* readCursors({ storage, dir, pool }),
      now: storage.now(),
      *lastTimestamp({ firstOffset }) {
        const segment = counted.find((each) =>
          each.firstOffset === firstOffset
        );
        return segment?.lastTimestamp ?? Infinity;
      },
    }, retain);
  }());
  const { count, bytes, passed } = plan;
  return {
    firstOffset: counted[count - 1]?.nextOffset ?? firstOffset,
    removedSegments: count,
    removedBytes: bytes,
    passedCursors: passed,
  };
}
