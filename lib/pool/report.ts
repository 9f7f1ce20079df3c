import { formatBytes } from "../base/mod.ts";
import type { PoolStats } from "./pool_stats.ts";

/** The figures of a pool as a table; sizes that were never used are left out. */
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
  const heads = [
    "block",
    "acquired",
    "returned",
    "in use",
    "free",
    "external",
    "dropped",
  ];
  const rows = stats.classes
    .filter((each) =>
      each.acquired + each.free + each.externalInUse + each.dropped > 0
    )
    .map((each) => [
      formatBytes(each.classBytes),
      ...[
        each.acquired,
        each.returned,
        each.inUse,
        each.free,
        each.externalInUse,
        each.dropped,
      ].map(String),
    ]);
  const total = [
    "all",
    ...[
      stats.acquired,
      stats.returned,
      sum(stats, "inUse"),
      sum(stats, "free"),
      sum(stats, "externalInUse"),
      stats.dropped,
    ].map(String),
  ];
  const table = [heads, ...rows, total];
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

function sum(
  stats: PoolStats,
  name: "inUse" | "free" | "externalInUse",
): number {
  return stats.classes.reduce((total, each) => total + each[name], 0);
}
