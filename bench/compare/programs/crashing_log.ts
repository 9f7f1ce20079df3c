/**
 * Opens a log, prints how long that took, and waits to be killed. Arguments: `open DIR`, or `write
 * DIR BYTES`, which fills the log first.
 */
import { BufferPool, DirectFile, Log, LogReader } from "../../../mod.ts";
import { touchedBuffers } from "../direct.ts";
import { appendWhenReady } from "../logs.ts";
import type { Measured } from "../measure.ts";
import { scan } from "../p08_scan.ts";
import { MIB } from "../sizes.ts";

/** Maximum number of bytes that opening reads, which is the reference for its time. */
const WALK_BYTES = 32 * MIB;

/** The line that is printed. */
export interface Opening {
  readonly openMs: number;
  /** Time of reading 32 MiB of the log's file, eight reads at a time. */
  readonly readMs: number;
  /** Reading the whole log, with verification. */
  readonly scan: Measured;
  /** Bytes that recovery read and verified. */
  readonly scannedBytes: number;
}

if (import.meta.main) {
  const [action, dir, bytes] = Deno.args;
  // Loading the library and mapping memory are not part of opening a log.
  const pool = new BufferPool();
  const buffers = touchedBuffers(pool, 8, MIB);
  for (const spare of touchedBuffers(pool, 16, MIB)) spare.drop();
  const start = performance.now();
  const log = await Log.open(dir!, { pool });
  const openMs = performance.now() - start;
  if (action === "write") {
    const payload = crypto.getRandomValues(new Uint8Array(1000));
    const batch: Uint8Array[] = new Array(1000).fill(payload);
    for (let done = 0; done < Number(bytes); done += 1_064_000) {
      await appendWhenReady(log, batch);
    }
    await log.flush();
    console.log("{}");
  } else {
    const file = await DirectFile.open(`${dir}/${"0".repeat(20)}.log`);
    const before = performance.now();
    const size = Math.min(WALK_BYTES, file.sizeSync());
    let left = size / MIB;
    await Promise.all(buffers.map(async (buffer) => {
      while (left > 0) await file.read(buffer, --left * MIB);
    }));
    const readMs = performance.now() - before;
    const [report] = log.stats().opening.recovered;
    const opening: Opening = {
      openMs,
      readMs,
      scan: await scan(new LogReader(dir!, { pool }), 0),
      scannedBytes: report?.scannedBytes ?? 0,
    };
    console.log(JSON.stringify(opening));
  }
  // It is killed now. A timer keeps the process alive.
  setInterval(() => {}, 1000);
}
