/**
 * Returns the version in a server's `state/info`, such as `"0.8.1-edge.1"`; `undefined` if the
 * bytes are no such file.
 */
export function readVersion(bytes: Uint8Array): string | undefined {
  // MessagePack: an array of the version (an array of its text and a hash) and of migrations.
  if (bytes[0] !== 0x92 || bytes[1] !== 0x92) return undefined;
  const length = (bytes[2] ?? 0) ^ 0xa0;
  const text = bytes.subarray(3, 3 + length);
  if (length > 31 || text.length < length) return undefined;
  const version = new TextDecoder().decode(text);
  return /^\d+\.\d+\.\d+([-+].*)?$/.test(version) ? version : undefined;
}

/** Whether a server of this version writes a header for each message, as this room reads them. */
export function isCompatible(version: string): boolean {
  return /^0\.(8\.|7\.([3-9]|\d\d))/.test(version);
}

/** What {@linkcode isCompatible} accepts, in words. */
export const COMPATIBLE_VERSIONS = "Iggy 0.7.3 to 0.8";
