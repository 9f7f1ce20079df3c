/** A hash of 64 bits as two words: it tells millions of states apart, but no adversary's. */
export type StateHash = readonly [low: number, high: number];

/** The hash of nothing. */
export const NO_HASH: StateHash = [0x243f6a88, 0x85a308d3];

/** Hashes of blocks, which are never changed in place. */
const known = new WeakMap<Uint8Array, StateHash>();

/** Returns the hash of bytes that never change, and remembers it. */
export function hashBytes(bytes: Uint8Array): StateHash {
  let hash = known.get(bytes);
  if (hash !== undefined) return hash;
  let low = 0x13198a2e ^ bytes.length, high = 0x03707344;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length - bytes.length % 4;
  for (let i = 0; i < whole; i += 4) {
    const word = view.getUint32(i, true);
    low = Math.imul(low ^ word, 0x85ebca6b);
    low = low << 13 | low >>> 19;
    high = Math.imul(high ^ word, 0xc2b2ae35);
    high = (high << 17 | high >>> 15) + low | 0;
  }
  for (let i = whole; i < bytes.length; i++) {
    low = Math.imul(low ^ bytes[i]!, 0x85ebca6b);
    high = Math.imul(high ^ bytes[i]!, 0xc2b2ae35) + low | 0;
  }
  hash = [finish(low ^ high), finish(high + low)];
  known.set(bytes, hash);
  return hash;
}

/** Returns the hash of what was hashed before and these integers, in order. */
export function hashNumbers(
  before: StateHash,
  ...values: number[]
): StateHash {
  let [low, high] = before;
  for (const value of values) {
    for (const word of [value | 0, Math.floor(value / 2 ** 32) | 0]) {
      low = finish(low ^ word);
      high = finish((high + Math.imul(word, 0x9e3779b1)) ^ low);
    }
  }
  return [low, high];
}

/** Returns the hash of what was hashed before and a text. */
export function hashText(before: StateHash, text: string): StateHash {
  const hash = hashBytes(new TextEncoder().encode(text));
  return hashNumbers(before, hash[0], hash[1]);
}

/** Returns a hash in 16 hexadecimal digits. */
export function hashDigits([low, high]: StateHash): string {
  return [high, low]
    .map((word) => (word >>> 0).toString(16).padStart(8, "0"))
    .join("");
}

/** Mixes a word by the last step of MurmurHash3: every bit depends on every other. */
function finish(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
