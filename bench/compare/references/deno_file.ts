/** `Deno.FsFile` as a reference: buffered files, written and read in order. */
import { type Measured, Series, Stopwatch } from "../measure.ts";
import { MIB } from "../sizes.ts";

/** What is written between two syncs, and read without a look at the clock. */
const PASS_BYTES = 256 * MIB;

/**
 * Goes through the first {@linkcode PASS_BYTES} of a file, again and again for so long: a pass is
 * over when its bytes are.
 */
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

/** Writes the same part again and again, `syncData` at the end of each pass. */
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

/** Reads the same part again and again; once if its pages must be dropped `before`. */
export async function readDenoFile(
  path: string,
  ms: number,
  before?: () => Promise<void>,
): Promise<Measured> {
  const bytes = new Uint8Array(MIB).fill(0x5a);
  await before?.();
  // One pass when the pages must be gone: dropping them again is no part of reading.
  return await passes(
    path,
    before === undefined ? ms : 0,
    { read: true },
    (file) => file.read(bytes),
    () => Promise.resolve(),
  );
}
