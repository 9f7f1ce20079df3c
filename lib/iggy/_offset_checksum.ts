const MASK = (1n << 64n) - 1n;
/** Words 1 and 2 of XXH3's default secret, one XOR the other. */
const BITFLIP = 0x1cad21f72c81017cn ^ 0xdb979083e96dd4den;
const PRIME_MX2 = 0x9FB21C651E98DF25n;

/** Returns the XXH3-64 (seed 0) of 8 bytes, as a server checks a consumer offset. */
export function offsetChecksum(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const [first, last] = [view.getUint32(0, true), view.getUint32(4, true)];
  let hash = (BigInt(last) + (BigInt(first) << 32n)) ^ BITFLIP;
  hash ^= rotateLeft(hash, 49n) ^ rotateLeft(hash, 24n);
  hash = hash * PRIME_MX2 & MASK;
  hash ^= (hash >> 35n) + 8n;
  hash = hash * PRIME_MX2 & MASK;
  return hash ^ hash >> 28n;
}

function rotateLeft(word: bigint, bits: bigint): bigint {
  return word << bits & MASK | word >> 64n - bits;
}
