/**
 * XXH3-64 with seed 0 for inputs of 17 to 128 bytes: the records of `meta`, of the owner file and
 * of cursors. Few records are hashed, so arithmetic with `bigint` is fast enough.
 *
 * @module
 */

const MASK = (1n << 64n) - 1n;
const PRIME64_1 = 0x9E3779B185EBCA87n;

/** The part of the default secret that inputs of up to 128 bytes need. */
const SECRET_HEX =
  "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f" +
  "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c" +
  "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8" +
  "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364";
// Not `fromHex`: a runtime that only imports this module may not have it.
const SECRET = new DataView(
  new Uint8Array(SECRET_HEX.match(/../g)!.map((pair) => parseInt(pair, 16)))
    .buffer,
);

/** Returns the checksum of 17 to 128 bytes. */
export function recordChecksum(bytes: Uint8Array): bigint {
  const { length } = bytes;
  if (length < 17 || length > 128) {
    throw new RangeError(
      `Cannot hash record as it must have 17 to 128 bytes: received ${length}`,
    );
  }
  const input = new DataView(bytes.buffer, bytes.byteOffset, length);
  let hash = BigInt(length) * PRIME64_1;
  for (let i = Math.ceil(length / 32) - 1; i >= 0; i--) {
    hash += mix(input, 16 * i, 32 * i);
    hash += mix(input, length - 16 * (i + 1), 32 * i + 16);
  }
  return avalanche(hash & MASK);
}

/** Mixes 16 bytes of the input with 16 of the secret. */
function mix(input: DataView, at: number, secret: number): bigint {
  const low = word(input, at) ^ word(SECRET, secret);
  const high = word(input, at + 8) ^ word(SECRET, secret + 8);
  const product = low * high;
  return (product ^ product >> 64n) & MASK;
}

function word(view: DataView, at: number): bigint {
  return view.getBigUint64(at, true);
}

function avalanche(hash: bigint): bigint {
  hash ^= hash >> 37n;
  hash = hash * 0x165667919E3779F9n & MASK;
  return hash ^ hash >> 32n;
}
