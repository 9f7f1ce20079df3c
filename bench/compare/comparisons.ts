/** All comparisons by their goal. */
import type { Context } from "./context.ts";
import { type CompareOptions, QUICK_IDS } from "./options.ts";
import { p01 } from "./p01_random_read.ts";
import { p02 } from "./p02_depth.ts";
import { p03 } from "./p03_sequential.ts";
import { p04 } from "./p04_durable_append.ts";
import { p05 } from "./p05_group_commit.ts";
import { p06 } from "./p06_pool.ts";
import { p08 } from "./p08_scan.ts";
import { p09 } from "./p09_async.ts";
import { p10 } from "./p10_workload.ts";
import { p11 } from "./p11_resources.ts";
import { p12 } from "./p12_opening.ts";
import { p13 } from "./p13_server.ts";
import { p14 } from "./p14_start.ts";
import { p15 } from "./p15_workers.ts";
import { r01 } from "./r01_readers.ts";
import type { Row } from "./row.ts";
import { s01, s02, s03, s04, s05 } from "./s_segments.ts";
import { w01 } from "./w01_lone_append.ts";
import { w02 } from "./w02_group_commit.ts";
import { w03 } from "./w03_batches.ts";
import { w04 } from "./w04_offered_rate.ts";
import { w05 } from "./w05_unlimited.ts";
import { w06 } from "./w06_tails.ts";
import { w07 } from "./w07_ingest.ts";
import { w08 } from "./w08_written_bytes.ts";
import { w09 } from "./w09_many_logs.ts";
import { w10 } from "./w10_opening.ts";
import { w11 } from "./w11_append.ts";
import { w12 } from "./w12_cursors.ts";
import { w13 } from "./w13_ship.ts";

/** In the order of the table. */
export const COMPARISONS: Readonly<
  Record<string, (context: Context) => Promise<Row[]>>
> = {
  P1: p01,
  P2: p02,
  P3: p03,
  P4: p04,
  P5: p05,
  P6: p06,
  P8: p08,
  P9: p09,
  P10: p10,
  P11: p11,
  P12: p12,
  P13: p13,
  P14: p14,
  P15: p15,
  W1: w01,
  W2: w02,
  W3: w03,
  W4: w04,
  W5: w05,
  W6: w06,
  W7: w07,
  W8: w08,
  W9: w09,
  W10: w10,
  W11: w11,
  W12: w12,
  W13: w13,
  S1: s01,
  S2: s02,
  S3: s03,
  S4: s04,
  S5: s05,
  R1: r01,
};

/** Returns the comparisons to run, in order. */
export function wanted({ quick, only }: CompareOptions): string[] {
  const ids = Object.keys(COMPARISONS);
  if (only.length > 0) return ids.filter((id) => only.includes(id));
  return quick ? [...QUICK_IDS] : ids;
}
