const ENCODER = new TextEncoder();

/**
 * Encodes texts of a list to the start of `target`, back to back: from number `first`, as many as
 * `lengths` counts. Notes how many bytes each has. Ends early where `target` is full.
 *
 * @returns How many; 0 if one of them is no string or not ASCII, or the first does not fit.
 */
export function encodeAscii(
  texts: readonly unknown[],
  first: number,
  lengths: Uint32Array,
  target: Uint8Array<ArrayBuffer>,
): number {
  const most = Math.min(lengths.length, texts.length - first);
  let count = 0;
  // 16 ns a string of 100 units, `join` 22, encoding each by itself 105.
  let joined = "";
  for (; count < most; count++) {
    const text = texts[first + count];
    if (typeof text !== "string") return 0;
    if (joined.length + text.length > target.length) break;
    joined += text;
    lengths[count] = text.length;
  }
  // All of it is read only where no unit takes more than its byte.
  const { length } = joined;
  const place = new Uint8Array(target.buffer, target.byteOffset, length);
  return ENCODER.encodeInto(joined, place).read === length ? count : 0;
}
