/** Hashes of blocks, which are never changed in place. */
const known = new WeakMap<Uint8Array, string>();

/** Returns the hash of bytes that never change, and remembers it. */
export function hashBytes(bytes: Uint8Array): string {
  let digits = known.get(bytes);
  if (digits === undefined) known.set(bytes, digits = hashOf(bytes));
  return digits;
}

/**
 * Returns a hash in 16 hexadecimal digits: it tells millions of states apart, but no adversary's.
 */
export function hashOf(data: string | Uint8Array): string {
  // An `import` would make every program wait at its start.
  const { hash } = globalThis.process.getBuiltinModule("node:crypto");
  return hash("sha1", data).slice(0, 16);
}
