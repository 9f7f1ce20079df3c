import type { Task } from "../../base/mod.ts";
import { ownerPath } from "../open/directory.ts";
import type { LogPlace } from "../record/meta.ts";
import { type OwnerRecord, readOwnerFile } from "../record/owner_file.ts";
import { vouchedOffset } from "../open/_try_recovery.ts";

/** Read an owner file that is being written this often again, with this delay. */
const RECORD_ATTEMPTS = 4;
const RECORD_DELAY_MS = 1;
/**
 * Look this often, with this delay, for a missing owner file while the lock is held: a writer that
 * opens or closes the log has none for a moment.
 */
const OWNER_ATTEMPTS = 100;
const OWNER_DELAY_MS = 20;

/** The writer of a log, as its owner file and its lock show it. */
export interface ForeignWriter {
  /** Whether the log is being written, was left open by a dead writer, or was closed. */
  state: "writing" | "dead" | "none";
  /** The published durable offset: messages below it are durable. */
  durableOffset: number;
}

/** Reads the owner file and looks at the lock. */
export function* foreignWriter(place: LogPlace): Task<ForeignWriter> {
  const { storage, dir } = place;
  const record = yield* readSettled(place);
  const durableOffset = vouchedOffset(record);
  // Without an owner file, a writer is opening or closing the log, or the file was removed.
  if (storage.isLocked(dir)) return { state: "writing", durableOffset };
  return { state: record === undefined ? "none" : "dead", durableOffset };
}

/**
 * Returns the published durable offset of a log; `Infinity` if the log is closed.
 * `docs/format.md#read-durable`
 *
 * @throws {Deno.errors.BadResource} If the owner file of a log that is being written is missing.
 */
export function* durableOffsetOf(place: LogPlace): Task<number> {
  const { storage, dir } = place;
  for (let attempt = 0; attempt < OWNER_ATTEMPTS; attempt++) {
    const record = yield* readSettled(place);
    if (record !== undefined) return vouchedOffset(record);
    // A log that was closed is durable to its end.
    if (!storage.isLocked(dir)) return Infinity;
    yield* storage.delay(OWNER_DELAY_MS);
  }
  throw new Deno.errors.BadResource(
    `Cannot tell what is durable in log '${dir}': a writer has it open, but '${
      ownerPath(dir)
    }' is missing`,
  );
}

/** Reads the owner file, again while it is being written. `docs/format.md#read-owner-retry` */
function* readSettled(
  place: LogPlace,
): Task<OwnerRecord | "invalid" | undefined> {
  for (let attempt = 0;; attempt++) {
    const record = yield* readOwnerFile(place);
    if (record !== "invalid" || attempt === RECORD_ATTEMPTS) return record;
    yield* place.storage.delay(RECORD_DELAY_MS);
  }
}
