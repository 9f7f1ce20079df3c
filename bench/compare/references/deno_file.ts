/** `Deno.FsFile` as a reference: buffered files, written and read in order. */
import { type Measured, Series, Stopwatch } from "../measure.ts";
import { MIB } from "../sizes.ts";

/** Bytes that are written between two syncs, and read between two reads of the clock. */
const PASS_BYTES = 256 * MIB;

/** Processes the first {@linkcode PASS_BYTES} of a file repeatedly for a time, in whole passes. */
async function passes(
  path: string,
  ms: number,
  options: Deno.OpenOptions,
  block: (file: Deno.FsFile) => Promise<number | null>,
  finish: (file: Deno.FsFile) => Promise<void>,
): Promise<Measured> {
  using file = await Deno.open(path, options);
  const size = Math.min(PASS_BYTES, (await file.stat()).size);
  const series = new Series();
  const watch = new Stopwatch();
  let bytes = 0;
  do {
    await file.seek(0, Deno.SeekMode.Start);
    for (let done = 0; done < size;) {
      const moved = await block(file);
      if (moved === null) break;
      done += moved;
      bytes += moved;
      series.add(moved);
    }
    await finish(file);
  } while (watch.ms < ms);
  return {
    ...watch.stop(),
    operations: bytes / MIB,
    bytes,
    series: series.values,
  };
}

/** Writes the same part repeatedly, with `syncData` at the end of each pass. */
export function writeDenoFile(path: string, ms: number): Promise<Measured> {
  const bytes = new Uint8Array(MIB).fill(0x5a);
  return passes(
    path,
    ms,
    { write: true },
    (file) => file.write(bytes),
    (file) => file.syncData(),
  );
}

/** Reads the same part repeatedly, but only once if its pages must be dropped `before`. */
export async function readDenoFile(
  path: string,
  ms: number,
  before?: () => Promise<void>,
): Promise<Measured> {
  const bytes = new Uint8Array(MIB).fill(0x5a);
  await before?.();
  // One pass where the pages must be gone, because dropping them again is not part of reading.
  return await passes(
    path,
    before === undefined ? ms : 0,
    { read: true },
    (file) => file.read(bytes),
    () => Promise.resolve(),
  );
}
