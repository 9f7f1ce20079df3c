import { formatBytes } from "../base/mod.ts";
import type { PoolClassStats, PoolStats } from "./pool_stats.ts";

/** The columns of the table: a figure of each size. */
const COLUMNS: readonly [head: string, name: keyof PoolClassStats][] = [
  ["acquired", "acquired"],
  ["returned", "returned"],
  ["in use", "inUse"],
  ["free", "free"],
  ["external", "externalInUse"],
  ["dropped", "dropped"],
];

/** Formats the figures of a pool as a table, without sizes that were never used. */
export function formatReport(id: number, stats: PoolStats): string {
  const lines = [
    `Pool ${id}: ${formatBytes(stats.mappedBytes)} of ${
      formatBytes(stats.limitBytes)
    } mapped (peak ${formatBytes(stats.peakMappedBytes)}), ${
      formatBytes(stats.inUseBytes)
    } in use, ${formatBytes(stats.freeBytes)} free`,
    `beyond the limit ${formatBytes(stats.externalBytes)}, quarantined ${
      formatBytes(stats.quarantinedBytes)
    }, orphaned ${stats.orphanedBlocks}, frozen ${stats.frozen}, resized ${stats.resized}, forgotten ${stats.leaked}`,
    `plain ${stats.plainInUse} in use of ${stats.plainAcquired} acquired, waits ${stats.waits} (${stats.waiting} now), attachments ${stats.attachments}`,
  ];
  const { classes } = stats;
  const rows = classes
    .filter((each) =>
      each.acquired + each.free + each.externalInUse + each.dropped > 0
    )
    .map((each) => [
      formatBytes(each.classBytes),
      ...COLUMNS.map(([, name]) => String(each[name])),
    ]);
  const sums = COLUMNS.map(([, name]) =>
    String(classes.reduce((sum, each) => sum + each[name], 0))
  );
  const heads = ["block", ...COLUMNS.map(([head]) => head)];
  const table = [heads, ...rows, ["all", ...sums]];
  const widths = heads.map((_, column) =>
    Math.max(...table.map((row) => row[column]!.length))
  );
  for (const row of table) {
    lines.push(
      row.map((cell, column) => cell.padStart(widths[column]!)).join("  "),
    );
  }
  return lines.join("\n");
}
