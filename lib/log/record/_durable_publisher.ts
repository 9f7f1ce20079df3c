import { Driver, driveSync, step, type Task } from "../../base/mod.ts";
import type { Appender } from "../../segment/mod.ts";
import type { StorageTimer, TaskStorage } from "../../storage/mod.ts";
import type { OwnerFile } from "./owner_file.ts";

/** The durable offset is published this often at most. */
const INTERVAL_MS = 1;

/**
 * Publishes the durable offset of a log soon after it rose: at once, but for what comes within a
 * millisecond, which is published together.
 *
 * Publishing is one write into the page cache, a few microseconds. Nothing waits for it, and a
 * failure is not reported: an earlier durable offset is true as well.
 * `docs/format.md#owner-update`
 */
export class DurablePublisher {
  readonly #owner: OwnerFile;
  readonly #storage: TaskStorage;
  readonly #appender: Appender;
  #publishedAtMicros: number;
  #timer: StorageTimer | undefined;
  /** Whether a write is in flight, and what drives it, unless a checkpoint does. */
  #isBusy = false;
  #driver: Driver<void> | undefined;
  #isClosed = false;

  constructor(owner: OwnerFile, storage: TaskStorage, appender: Appender) {
    this.#owner = owner;
    this.#storage = storage;
    this.#appender = appender;
    this.#publishedAtMicros = storage.now();
  }

  /** Publishes what is durable now, at the latest after a millisecond. */
  flushed(nowMicros: number): void {
    const { durableOffset, inPlace } = this.#appender;
    const isNew = durableOffset > this.#owner.record.durableOffset;
    if (!isNew || this.#isBusy || this.#isClosed) return;
    try {
      const sinceMs = (nowMicros - this.#publishedAtMicros) / 1000;
      // The clock may have been set back.
      if (sinceMs >= 0 && sinceMs < INTERVAL_MS) {
        this.#timer ??= this.#storage.after(INTERVAL_MS, () => {
          this.#timer = undefined;
          this.flushed(this.#storage.now());
        });
      } else if (inPlace.allows) driveSync(this.publish());
      else {
        const driver = new Driver(this.publish());
        if (this.#isBusy) this.#driver = driver;
      }
    } catch {
      // A storage that has ended.
    }
  }

  /** Publishes what is durable now; it does not fail. */
  *publish(): Task<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    let isPublished = false;
    try {
      yield* this.#owner.publish(this.#appender.durableOffset);
      this.#publishedAtMicros = this.#storage.now();
      isPublished = true;
    } catch {
      // Readers wait for the next one.
    } finally {
      this.#isBusy = false;
      this.#driver = undefined;
    }
    // What became durable during the write is not published yet.
    if (isPublished) this.flushed(this.#publishedAtMicros);
  }

  /** Ends it after a write in flight. */
  *close(): Task<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    const driver = this.#driver;
    if (driver === undefined) return;
    yield* step(() => driver.promise, () => driver.finishSync());
  }
}
