/** Checks the rows of durable writes: as many syncs reach the kernel as each side claims. */
import { assert } from "@std/assert";
import type { DurablePuts } from "../../bench/compare/programs/durable_puts.ts";
import { programArguments } from "../../bench/compare/programs/run.ts";
import { SPECIFIER as LEVEL } from "../../bench/compare/references/level.ts";
import { SPECIFIER as LMDB } from "../../bench/compare/references/lmdb.ts";
import {
  countSyncs,
  straceObstacle,
} from "../../bench/compare/references/strace.ts";
import { available, ROOT } from "../../tools/run.ts";
import { ALL } from "../permissions.ts";

const STEPS = 50;

const obstacle = ALL ? await straceObstacle() : "needs all permissions";

/** Returns the arguments of Deno for storing this many steps. */
function storing(
  side: DurablePuts,
  dir: string,
  steps: number,
  group: number,
): string[] {
  return programArguments(
    "durable_puts.ts",
    [side, dir, String(steps), String(group)],
    // Packages that only some checks need stay out of the lock file.
    ["--no-lock"],
  );
}

/** Returns why a package cannot be loaded here, or `undefined`. */
async function packageObstacle(
  side: "level" | "lmdb",
  specifier: string,
): Promise<string | undefined> {
  if (obstacle !== undefined) return obstacle;
  const dir = Deno.makeTempDirSync({ dir: ROOT, prefix: ".syncs-test-" });
  try {
    return await available(Deno.execPath(), storing(side, `${dir}/0`, 0, 1))
      ? undefined
      : `${specifier} cannot be loaded`;
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

const obstacles: Partial<Record<DurablePuts, string | undefined>> = {
  level: await packageObstacle("level", LEVEL),
  lmdb: await packageObstacle("lmdb", LMDB),
};

/** The sides of W1 to W3, and the messages of a step. Each step is durable when it ends. */
const SIDES: readonly [DurablePuts, group: number][] = [
  ["appendDurable", 1],
  ["appendDurable", 64],
  ["flushSync", 1],
  ["appendBatch", 1000],
  ["file", 1],
  ["sqlite", 1],
  ["sqlite", 64],
  ["sqlite", 1000],
  ["level", 1],
  ["level", 64],
  ["lmdb", 1],
  ["lmdb", 64],
];

for (const [side, group] of SIDES) {
  const reason = obstacle ?? obstacles[side];
  const skipped = reason === undefined ? "" : ` (skipped: ${reason})`;
  Deno.test({
    name: `${side} syncs each step of ${group}${skipped}`,
    ignore: reason !== undefined,
    fn: async () => {
      // Beside the checkout instead of in /tmp, which is often memory.
      const dir = Deno.makeTempDirSync({ dir: ROOT, prefix: ".syncs-test-" });
      try {
        const counted = async (steps: number) =>
          await countSyncs(
            Deno.execPath(),
            storing(side, `${dir}/${steps}`, steps, group),
            dir,
          );
        // Opening and closing sync as well, but do not belong to the steps.
        const before = await counted(0);
        const { syncs, calls, output } = await counted(STEPS);
        const shown = JSON.stringify({ before: before.calls, after: calls });
        assert(
          syncs - before.syncs >= STEPS,
          `${
            syncs - before.syncs
          } syncs of ${STEPS} steps: ${shown}, ${output}`,
        );
      } finally {
        Deno.removeSync(dir, { recursive: true });
      }
    },
  });
}
