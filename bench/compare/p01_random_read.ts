/** P1: 4 KiB random reads, one after the other, sync. */
import { BufferPool, DirectFile } from "../../mod.ts";
import type { Context } from "./context.ts";
import { readInPlace } from "./direct.ts";
import { RATE } from "./measure.ts";
import { fio, hasFio } from "./references/fio.ts";
import { rounds } from "./rounds.ts";
import { atLeast, compareSides, type Row } from "./row.ts";
import { DATA_BYTES, READ_BYTES } from "./sizes.ts";

/** Measures P1. */
export async function p01(context: Context): Promise<Row[]> {
  if (!await hasFio(context, "P1")) return [];
  const path = await context.file("data", DATA_BYTES);
  using pool = new BufferPool();
  using file = DirectFile.openSync(path, { pool });
  const runs = await rounds(context, "P1", 1500, {
    sync: (ms) => readInPlace(file, pool, ms),
    fio: (ms) =>
      fio(context, {
        file: path,
        rw: "randread",
        blockBytes: READ_BYTES,
        depth: 1,
        engine: "psync",
        ms,
      }),
  });
  const theirs = { name: "fio psync", runs: runs.fio };
  return [
    compareSides(
      { id: "P1.sync", name: "4 KiB random read, sync", goal: atLeast(1) },
      RATE,
      { name: "Basalt", runs: runs.sync },
      theirs,
    ),
  ];
}
