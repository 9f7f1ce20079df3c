import type { PoolStats } from "./pool_stats.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Bytes in the largest unit that keeps the figure at 1 or more, such as `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(1))} ${UNITS[unit]}`;
}

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
