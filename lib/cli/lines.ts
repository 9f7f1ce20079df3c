import { MAX_PAYLOAD_BYTES } from "../codec/mod.ts";

const NEWLINE = 0x0a;
const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * The lines of a file, each with its terminator, as views that are valid until the next step; the last one may have none.
 *
 * @throws {RangeError} If a line is longer than a message may be.
 */
export function* readLines(file: Deno.FsFile): Generator<Uint8Array> {
  let bytes = new Uint8Array(CHUNK_BYTES);
  let fill = 0;
  let number = 1;
  for (;;) {
    const read = file.readSync(bytes.subarray(fill));
    if (read === null) break;
    fill += read;
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(NEWLINE, start);
      if (end < 0 || end >= fill) break;
      yield checked(bytes.subarray(start, end + 1), number++);
      start = end + 1;
    }
    bytes.copyWithin(0, start, fill);
    fill -= start;
    if (fill < bytes.length) continue;
    checked(bytes, number);
    const larger = new Uint8Array(2 * bytes.length);
    larger.set(bytes);
    bytes = larger;
  }
  if (fill > 0) yield checked(bytes.subarray(0, fill), number);
}

function checked(line: Uint8Array, number: number): Uint8Array {
  if (line.length <= MAX_PAYLOAD_BYTES) return line;
  throw new RangeError(
    `Line ${number} has ${line.length} bytes: a message holds at most ${MAX_PAYLOAD_BYTES}`,
  );
}
