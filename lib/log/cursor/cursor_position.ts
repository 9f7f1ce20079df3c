import type { Task } from "../../base/mod.ts";
import { type LogPlace, readMeta } from "../meta.ts";
import { OffsetOutOfRangeError } from "../offset_out_of_range_error.ts";
import type { CursorTarget } from "./cursor.ts";
import type { CursorSource } from "./cursor_source.ts";

/**
 * Checks where a cursor shall start or go.
 *
 * @throws {RangeError} If it is neither an offset nor one of the words.
 */
export function checkTarget(
  action: string,
  name: string,
  target: CursorTarget,
): void {
  if (target === "first" || target === "next") return;
  if (Number.isSafeInteger(target) && target >= 0) return;
  throw new RangeError(
    `Cannot ${action} as '${name}' must be an integer from 0, "first" or "next": received ${
      typeof target === "string" ? JSON.stringify(target) : target
    }`,
  );
}

/**
 * Returns the first offset of a log, as its `meta` says now.
 *
 * @throws {Deno.errors.NotSupported} If the log has no `meta` yet.
 */
export function* firstOffsetOf(place: LogPlace): Task<number> {
  const meta = yield* readMeta(place);
  if (meta !== undefined) return meta.firstOffset;
  throw new Deno.errors.NotSupported(
    `Cannot use cursors of log '${place.dir}': it has no 'meta' yet, opening it for writing makes one`,
  );
}

/**
 * Returns the offset of a target.
 *
 * @throws {OffsetOutOfRangeError} If the log holds no such offset, or not durably.
 */
export function* offsetOf(
  source: CursorSource,
  target: CursorTarget,
): Task<number> {
  const { place } = source;
  if (target === "next") return yield* source.durableEnd();
  const first = yield* firstOffsetOf(place);
  if (target === "first") return first;
  const end = yield* source.durableEnd();
  if (target >= first && target <= end) return target;
  throw new OffsetOutOfRangeError(place.dir, target, first, end);
}
