import { checkInteger } from "../../base/mod.ts";
import { checked, native } from "../../native/mod.ts";

/**
 * Why a scan ended: the numbers that the native side gives (`rust/src/codec/scan.rs`). A message is
 * checked for zeros, lengths, reserved field, offset, being whole, checksum, in this order.
 */
export const STOP = {
  /** The bytes are used up exactly. */
  END: 0,
  /** The last message is not wholly there, see {@linkcode MessageScan.neededBytes}. */
  PARTIAL: 1,
  /**
   * A header of zeros, or nothing but zeros in the last bytes, too few for a header: nothing was
   * written there.
   */
  ZEROS: 2,
  /** The payload or the user headers are longer than the format allows. */
  LENGTH: 3,
  /** The reserved field is not 0. */
  RESERVED: 4,
  /** The offset is not the expected one, or above `Number.MAX_SAFE_INTEGER`. */
  OFFSET: 5,
  /** The checksum is wrong. */
  CHECKSUM: 6,
  /** `maxCount` messages were found; the bytes behind were not looked at. */
  FULL: 7,
} as const;

/** One of the numbers in {@linkcode STOP}. */
export type Stop = typeof STOP[keyof typeof STOP];

const MAX_UINT32 = 0xffff_ffff;

/**
 * Checks messages that lie back to back, in one native call for a block, and holds what was found:
 * one object, with its arrays, for many blocks.
 */
export class MessageScan {
  readonly #allocate: (words: number) => Uint32Array<ArrayBuffer>;
  // Always one longer than #lengths.
  #starts!: Uint32Array<ArrayBuffer>;
  #lengths!: Uint32Array<ArrayBuffer>;
  readonly #out = new Uint32Array(4);
  #count = 0;
  #end = 0;
  #stop: Stop = STOP.END;
  #neededBytes = 0;

  /**
   * Makes the arrays.
   *
   * @param capacity Messages that they hold at first; they grow as needed.
   * @param allocate Where they come from: an array of so many words. The one before is in use until
   * the run ends.
   * @throws {RangeError} If the capacity is no integer of at least 1.
   */
  constructor(
    capacity = 1024,
    allocate: (words: number) => Uint32Array<ArrayBuffer> = (words) =>
      new Uint32Array(words),
  ) {
    this.#allocate = allocate;
    this.renew(capacity);
  }

  /**
   * Makes other arrays for the next run; who has the ones before keeps them.
   *
   * @throws {RangeError} If the capacity is no integer of at least 1.
   */
  renew(capacity: number): void {
    checkInteger("create scan", "capacity", capacity, 1);
    this.#count = 0;
    this.#take(capacity);
  }

  /** Good messages found. */
  get count(): number {
    return this.#count;
  }

  /**
   * Where each good message starts in the bytes; the entry number `count` is where the last one
   * ends. The next run overwrites or replaces the array.
   */
  get starts(): Uint32Array<ArrayBuffer> {
    return this.#starts;
  }

  /**
   * The length of each good message's payload, in bytes. The next run overwrites or replaces the
   * array.
   */
  get lengths(): Uint32Array<ArrayBuffer> {
    return this.#lengths;
  }

  /**
   * Where the last good message ends (the run's start if there is none): where the reason to stop
   * lies.
   */
  get end(): number {
    return this.#end;
  }

  /** Why the run ended: one of {@linkcode STOP}. */
  get stop(): Stop {
    return this.#stop;
  }

  /**
   * After `STOP.PARTIAL`: how many bytes from `end` on would decide more, that is the whole message
   * where its header is there, else a header. Otherwise 0.
   */
  get neededBytes(): number {
    return this.#neededBytes;
  }

  /**
   * Checks messages from `start` on; its results replace those of the run before.
   *
   * @param expectedOffset What the first message's offset must be; each further one is greater by
   * 1.
   * @param maxCount The most messages to find; all where it is left out.
   * @returns The number of good messages.
   * @throws {RangeError} If `start` lies behind the bytes, or a number is no integer of its range.
   */
  run(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    expectedOffset: number,
    maxCount: number = Infinity,
  ): number {
    checkInteger(
      "scan messages",
      "start",
      start,
      0,
      Math.min(bytes.length, MAX_UINT32),
    );
    checkInteger("scan messages", "expectedOffset", expectedOffset);
    if (maxCount !== Infinity) {
      checkInteger("scan messages", "maxCount", maxCount, 0, MAX_UINT32);
    }
    this.#count = 0;
    this.#end = start;
    for (;;) {
      const room = Math.min(this.#lengths.length, maxCount) - this.#count;
      this.#runOnce(bytes, expectedOffset + this.#count, room);
      if (this.#stop !== STOP.FULL || this.#count === maxCount) break;
      this.#take(2 * this.#lengths.length);
    }
    return this.#count;
  }

  /** Adds what one native call finds behind the messages found so far. */
  #runOnce(
    bytes: Uint8Array<ArrayBuffer>,
    expectedOffset: number,
    room: number,
  ): void {
    const from = this.#count;
    const out = this.#out;
    const found = native().basalt_legacy_scan(
      bytes,
      bytes.length,
      this.#end,
      expectedOffset,
      room,
      from === 0 ? this.#starts : this.#starts.subarray(from),
      from === 0 ? this.#lengths : this.#lengths.subarray(from),
      out,
    );
    this.#count += checked(found, "basalt_legacy_scan");
    this.#end = out[0]!;
    this.#stop = out[1] as Stop;
    this.#neededBytes = out[2]!;
  }

  /** Makes arrays for so many messages, and copies what was found. */
  #take(capacity: number): void {
    const starts = this.#starts;
    const lengths = this.#lengths;
    const words = this.#allocate(2 * capacity + 1);
    this.#starts = words.subarray(0, capacity + 1);
    this.#lengths = words.subarray(capacity + 1);
    if (this.#count === 0) return;
    this.#starts.set(starts.subarray(0, this.#count));
    this.#lengths.set(lengths.subarray(0, this.#count));
  }
}
