/** All comparisons by the number of their goal. */
import type { Context } from "./context.ts";
import { type CompareOptions, QUICK_IDS } from "./options.ts";
import { p01 } from "./p01_random_read.ts";
import { p02 } from "./p02_depth.ts";
import { p03 } from "./p03_sequential.ts";
import { p04 } from "./p04_durable_append.ts";
import { p05 } from "./p05_group_commit.ts";
import { p07 } from "./p07_append.ts";
import { p08 } from "./p08_scan.ts";
import { p09 } from "./p09_async.ts";
import type { Row } from "./row.ts";

/** In the order of the table. */
export const COMPARISONS: Readonly<
  Record<string, (context: Context) => Promise<Row[]>>
> = {
  P1: p01,
  P2: p02,
  P3: p03,
  P4: p04,
  P5: p05,
  P7: p07,
  P8: p08,
  P9: p09,
};

/** What was asked for, in order. */
export function wanted({ quick, only }: CompareOptions): string[] {
  return Object.keys(COMPARISONS).filter((id) =>
    (only.length === 0 || only.includes(id)) &&
    (!quick || QUICK_IDS.includes(id))
  );
}
