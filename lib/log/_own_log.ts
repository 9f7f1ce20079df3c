import type { Appender } from "../segment/mod.ts";
import type { StorageLock } from "../storage/mod.ts";
import { refuseMoved } from "./open/_locks.ts";
import type { LogMeta, LogPlace } from "./record/meta.ts";
import type { OpenedLog, SealedSegment } from "./open/opening.ts";
import { Signal } from "./_signal.ts";

/** A log that this isolate writes, as its readers, its cursors and retention share it. */
export class OwnLog {
  /** Where it is. */
  readonly place: LogPlace;
  /** Appends to the last segment. */
  readonly appender: Appender;
  /** Its other segments, in order. Retention removes entries from the front. */
  readonly sealed: SealedSegment[];
  /** Its first offset on the disk. */
  readonly meta: LogMeta;
  /** Fires when messages were written or became durable, and at the end. */
  readonly changed: Signal = new Signal();
  /** Whether closing is over: nothing more will be written. */
  isEnded = false;
  readonly #lock: StorageLock;

  constructor(
    place: LogPlace,
    lock: StorageLock,
    { sealed, meta }: OpenedLog,
    appender: Appender,
  ) {
    this.place = place;
    this.appender = appender;
    this.sealed = sealed;
    this.meta = meta;
    this.#lock = lock;
  }

  /** The offset of its first message. */
  get firstOffset(): number {
    return this.sealed[0]?.firstOffset ?? this.appender.active.firstOffset;
  }

  /** Refuses a log that is closed. */
  checkOpen(action: string): void {
    if (!this.isEnded) return;
    throw new Deno.errors.BadResource(
      `Cannot ${action} on log '${this.place.dir}': it is closed`,
    );
  }

  /** Refuses a path that does not lead to the locked directory any more. */
  refuseMoved(action: string): void {
    refuseMoved(this.#lock, this.place.dir, action);
  }

  /** Releases the lock and wakes the readers, which end. */
  end(): void {
    this.#lock.release();
    this.isEnded = true;
    this.changed.fire();
  }
}
