/** Positions that are drawn ahead, so that drawing them is not measured. */
const COUNT = 65_536;

/** Random positions within a file at multiples of a block. */
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
