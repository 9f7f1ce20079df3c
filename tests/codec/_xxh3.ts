/**
 * XXH3-64 as its specification reads, for inputs of at least 17 bytes. It is slow, and independent
 * of the library.
 */

const MASK = (1n << 64n) - 1n;
const PRIME32_1 = 0x9E3779B1n;
const PRIME32_2 = 0x85EBCA77n;
const PRIME32_3 = 0xC2B2AE3Dn;
const PRIME64_1 = 0x9E3779B185EBCA87n;
const PRIME64_2 = 0xC2B2AE3D27D4EB4Fn;
const PRIME64_3 = 0x165667B19E3779F9n;
const PRIME64_4 = 0x85EBCA77C2B2AE63n;
const PRIME64_5 = 0x27D4EB2F165667C5n;

const SECRET = new DataView(
  Uint8Array.fromHex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f" +
      "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c" +
      "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8" +
      "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364" +
      "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e" +
      "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e",
  ).buffer,
);

function word(view: DataView, at: number): bigint {
  return view.getBigUint64(at, true);
}

function avalanche(hash: bigint): bigint {
  hash ^= hash >> 37n;
  hash = hash * 0x165667919E3779F9n & MASK;
  return hash ^ hash >> 32n;
}

function fold(a: bigint, b: bigint): bigint {
  const product = a * b;
  return (product ^ product >> 64n) & MASK;
}

function mix(input: DataView, at: number, secret: number): bigint {
  return fold(
    word(input, at) ^ word(SECRET, secret),
    word(input, at + 8) ^ word(SECRET, secret + 8),
  );
}

function medium(input: DataView): bigint {
  const length = input.byteLength;
  let hash = BigInt(length) * PRIME64_1;
  for (let i = Math.ceil(length / 32) - 1; i >= 0; i--) {
    hash += mix(input, 16 * i, 32 * i);
    hash += mix(input, length - 16 * (i + 1), 32 * i + 16);
  }
  return avalanche(hash & MASK);
}

function larger(input: DataView): bigint {
  const length = input.byteLength;
  let hash = BigInt(length) * PRIME64_1;
  for (let i = 0; i < 8; i++) hash += mix(input, 16 * i, 16 * i);
  hash = avalanche(hash & MASK);
  for (let i = 8; i < Math.floor(length / 16); i++) {
    hash += mix(input, 16 * i, 16 * (i - 8) + 3);
  }
  return avalanche(hash + mix(input, length - 16, 136 - 17) & MASK);
}

function long(input: DataView): bigint {
  const length = input.byteLength;
  const sums = [
    PRIME32_3,
    PRIME64_1,
    PRIME64_2,
    PRIME64_3,
    PRIME64_4,
    PRIME32_2,
    PRIME64_5,
    PRIME32_1,
  ];
  const accumulate = (at: number, secret: number) => {
    for (let i = 0; i < 8; i++) {
      const data = word(input, at + 8 * i);
      const key = data ^ word(SECRET, secret + 8 * i);
      sums[i ^ 1] = sums[i ^ 1]! + data & MASK;
      sums[i] = sums[i]! + (key & 0xffffffffn) * (key >> 32n) & MASK;
    }
  };
  const stripes = Math.floor((length - 1) / 64);
  for (let stripe = 0; stripe < stripes; stripe++) {
    accumulate(64 * stripe, 8 * (stripe % 16));
    if (stripe % 16 === 15) {
      for (let i = 0; i < 8; i++) {
        const sum = sums[i]! ^ sums[i]! >> 47n ^ word(SECRET, 128 + 8 * i);
        sums[i] = sum * PRIME32_1 & MASK;
      }
    }
  }
  accumulate(length - 64, 128 - 7);
  let hash = BigInt(length) * PRIME64_1;
  for (let i = 0; i < 4; i++) {
    hash += fold(
      sums[2 * i]! ^ word(SECRET, 11 + 16 * i),
      sums[2 * i + 1]! ^ word(SECRET, 19 + 16 * i),
    );
  }
  return avalanche(hash & MASK);
}

/** Returns the hash of `bytes` with seed 0 and the default secret. */
export function xxh3(bytes: Uint8Array): bigint {
  const input = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 17) throw new RangeError("Cannot hash so few bytes");
  if (bytes.length <= 128) return medium(input);
  return bytes.length <= 240 ? larger(input) : long(input);
}
