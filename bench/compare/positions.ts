/** Positions that are drawn in advance, so that drawing them is not measured. */
const COUNT = 65_536;

/** Returns random positions within a file, at multiples of a block. */
export function randomPositions(
  sizeBytes: number,
  blockBytes: number,
): Float64Array {
  const blocks = Math.floor(sizeBytes / blockBytes);
  return Float64Array.from(
    { length: COUNT },
    () => Math.floor(Math.random() * blocks) * blockBytes,
  );
}
