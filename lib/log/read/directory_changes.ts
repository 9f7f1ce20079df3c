import type { Task } from "../../base/mod.ts";
import type { StorageWatch } from "../../storage/mod.ts";
import type { LogPlace } from "../record/meta.ts";
import { Signal, waiting } from "../_signal.ts";

/** How a reader learns of messages that another process writes. */
export interface ReaderStats {
  /** Tails of the log now, including streams and messages with `follow`. */
  tails: number;
  /** Tails that inotify wakes; the others poll. */
  notifiedTails: number;
  /** How often tails looked for messages after they had waited. */
  looks: number;
  /** How often the directory was listed. */
  listings: number;
}

/**
 * Waits for changes in the directory of a log that another process writes. Where the system does
 * not report changes, a wait is a delay.
 *
 * A change between two waits ends the next wait at once.
 * `docs/format.md#read-changes`
 */
export class DirectoryChanges {
  /** Whether names in the directory may have changed since the last call of `watch`. */
  areNamesNew = true;

  readonly #place: LogPlace;
  readonly #signal: AbortSignal;
  readonly #stats: ReaderStats;
  readonly #changed = new Signal();
  #watch: StorageWatch | undefined;
  #isChanged = false;
  #isOpen = false;

  /** @param signal Ends each wait. */
  constructor(place: LogPlace, signal: AbortSignal, stats: ReaderStats) {
    this.#place = place;
    this.#signal = signal;
    this.#stats = stats;
  }

  /** Whether the system reports changes. */
  get isNotified(): boolean {
    return this.#watch !== undefined;
  }

  /**
   * Begins to watch the directory. Call it again before each listing, because the path may lead to
   * another directory.
   */
  watch(): void {
    if (!this.#isOpen) this.#stats.tails++;
    this.#isOpen = true;
    this.areNamesNew = false;
    const { storage, dir } = this.#place;
    const watch = storage.watch(dir, (areNamesNew) => {
      if (areNamesNew) this.areNamesNew = true;
      this.#isChanged = true;
      this.#changed.fire();
    });
    this.#unwatch();
    this.#watch = watch;
    if (watch !== undefined) this.#stats.notifiedTails++;
  }

  /**
   * Waits for a change; returns whether one came.
   *
   * @param delayMs The longest wait in milliseconds. Required where the system reports no changes.
   */
  *wait(delayMs: number | undefined): Task<boolean> {
    if (this.#watch === undefined) {
      this.areNamesNew = true;
      yield* this.#place.storage.delay(delayMs!, { signal: this.#signal });
      this.#stats.looks++;
      return false;
    }
    const isChanged = yield* waiting(() => this.#wait(delayMs));
    this.#stats.looks++;
    return isChanged;
  }

  /** Ends the watch. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stats.tails--;
    this.#unwatch();
  }

  #unwatch(): void {
    if (this.#watch === undefined) return;
    this.#stats.notifiedTails--;
    this.#watch.close();
    this.#watch = undefined;
  }

  async #wait(delayMs: number | undefined): Promise<boolean> {
    this.#signal.throwIfAborted();
    const timer = delayMs === undefined || this.#isChanged
      ? undefined
      : this.#place.storage.after(delayMs, () => this.#changed.fire());
    try {
      if (!this.#isChanged) await this.#changed.wait(this.#signal);
    } finally {
      timer?.cancel();
    }
    const isChanged = this.#isChanged;
    this.#isChanged = false;
    return isChanged;
  }
}
