/** P9: 4 KiB random reads, one after the other: async beside sync. */
import { BufferPool, DirectFile } from "../../mod.ts";
import type { Context } from "./context.ts";
import { readByTasks, readInPlace } from "./direct.ts";
import { P50, P99 } from "./measure.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, type Row } from "./row.ts";
import { DATA_BYTES } from "./sizes.ts";

/** Measures P9. */
export async function p09(context: Context): Promise<Row[]> {
  const path = await context.file("data", DATA_BYTES);
  using pool = new BufferPool();
  using file = DirectFile.openSync(path, { pool });
  const runs = await rounds(context, "P9", 1000, {
    async: (ms) => readByTasks(file, pool, 1, ms),
    sync: (ms) => readInPlace(file, pool, ms),
  });
  const ours = { name: "Basalt, read", runs: runs.async };
  const theirs = { name: "Basalt, readSync", runs: runs.sync };
  return [
    compareSides(
      {
        id: "P9.p50",
        name: "4 KiB read, async over sync, p50",
        goal: atMost(1.05),
      },
      P50,
      ours,
      theirs,
    ),
    compareSides(
      {
        id: "P9.p99",
        name: "4 KiB read, async over sync, p99",
        goal: atMost(1.1),
      },
      P99,
      ours,
      theirs,
    ),
  ];
}
