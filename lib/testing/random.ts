/** Increment of the 32-bit state: 2^32 divided by the golden ratio, made odd. */
const GOLDEN = 0x9e3779b9;

/**
 * Random numbers that one seed reproduces: sfc32, seeded by splitmix32. Good for tests, not for
 * secrets.
 *
 * @example The same seed, the same numbers
 * ```ts
 * import { SeededRandom } from "@basalt/io/testing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new SeededRandom(7).below(1000), new SeededRandom(7).below(1000));
 * ```
 */
export class SeededRandom {
  /** The state: three words, and a counter that keeps the period above 2^32. */
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /**
   * Starts the sequence of a seed.
   *
   * @param seed An integer of at most 53 bits and a sign.
   */
  constructor(seed: number) {
    let state = seed + Math.imul(Math.floor(seed / 2 ** 32), 0x85ebca6b) >>> 0;
    const word = (): number => {
      state = (state + GOLDEN) >>> 0;
      let mixed = state ^ (state >>> 16);
      mixed = Math.imul(mixed, 0x21f0aaad);
      mixed ^= mixed >>> 15;
      mixed = Math.imul(mixed, 0x735a2d97);
      return (mixed ^ (mixed >>> 15)) | 0;
    };
    this.#a = word();
    this.#b = word();
    this.#c = word();
    for (let i = 0; i < 12; i++) this.next();
  }

  /** Returns the next 32 bits, as an integer from 0 to 2^32 - 1. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21 | this.#c >>> 11) + sum) | 0;
    return sum >>> 0;
  }

  /** Returns an integer from 0 to `limit` - 1; `limit` is at most 2^32. */
  below(limit: number): number {
    return Math.floor(this.next() / 2 ** 32 * limit);
  }

  /** Returns `true` with this probability, from 0 to 1. */
  chance(probability: number): boolean {
    return this.next() / 2 ** 32 < probability;
  }

  /** Fills a view with random bytes and returns it. */
  fill(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    let word = 0;
    for (let i = 0; i < bytes.length; i++) {
      word = i % 4 === 0 ? this.next() : word >>> 8;
      bytes[i] = word;
    }
    return bytes;
  }
}
