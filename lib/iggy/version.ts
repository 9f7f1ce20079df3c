/**
 * The version in a server's `state/info`, such as `"0.8.1-edge.1"`; `undefined` if the bytes are no
 * such file.
 */
export function readVersion(bytes: Uint8Array): string | undefined {
  // MessagePack: an array of the version (an array of its text and a hash) and of migrations.
  if (bytes[0] !== 0x92 || bytes[1] !== 0x92) return undefined;
  const length = (bytes[2] ?? 0) ^ 0xa0;
  const text = bytes.subarray(3, 3 + length);
  if (length > 31 || text.length < length) return undefined;
  const version = new TextDecoder().decode(text);
  return parse(version) === undefined ? undefined : version;
}

/**
 * Whether a server of this version writes partitions in this project's format: from 0.7.3, below
 * 0.9.
 */
export function isCompatible(version: string): boolean {
  const [major, minor, patch] = parse(version) ?? [0, 0, 0];
  return major === 0 && (minor === 8 || minor === 7 && patch >= 3);
}

/** What {@linkcode isCompatible} accepts, in words. */
export const COMPATIBLE_VERSIONS = "Iggy 0.7.3 to 0.8";

function parse(version: string): [number, number, number] | undefined {
  const found = /^(\d+)\.(\d+)\.(\d+)(?:[-+].*)?$/.exec(version);
  if (found === null) return undefined;
  return [Number(found[1]), Number(found[2]), Number(found[3])];
}
