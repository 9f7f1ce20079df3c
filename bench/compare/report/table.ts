/** The final table. */
import { formatTable } from "../../../lib/cli/_terminal.ts";
import { isMet, median, type Row, type Verdict } from "../row.ts";

/** Formats a value with three digits. */
export function formatValue(value: number): string {
  if (value === 0) return "0";
  return Math.abs(value) >= 1000
    ? value.toFixed(0)
    : Number(value.toPrecision(3)).toString();
}

/** Formats median and spread as the cells of a row. */
export function formatSpread(row: Row): [median: string, spread: string] {
  const unit = row.unit === "ratio" ? "" : ` ${row.unit}`;
  const [low, high] = [Math.min(...row.values), Math.max(...row.values)];
  return [
    formatValue(median(row.values)) + unit,
    `${formatValue(low)}..${formatValue(high)}`,
  ];
}

/**
 * Returns the cells of all rows, below a line of titles. Verdicts are left out if no row has one.
 */
export function cells(rows: readonly Row[], verdict: Verdict): string[][] {
  const withVerdicts = rows.some(verdict);
  const titles = [
    "id",
    "what",
    "goal",
    "median",
    "spread",
    "Basalt",
    "reference",
    ...withVerdicts ? ["met"] : [],
  ];
  const lines = rows.map((row) => {
    const met = verdict(row) ? isMet(row) : undefined;
    return [
      row.id,
      row.name,
      row.goal?.text ?? "",
      ...formatSpread(row),
      row.ours,
      row.theirs === "" ? row.reference : `${row.theirs} (${row.reference})`,
      ...withVerdicts ? [met === undefined ? "" : met ? "yes" : "no"] : [],
    ];
  });
  return [titles, ...lines];
}

/** Formats the table for a terminal. */
export function printedTable(rows: readonly Row[], verdict: Verdict): string {
  return formatTable(cells(rows, verdict));
}

/** Formats the table as Markdown. */
export function markdownTable(rows: readonly Row[], verdict: Verdict): string {
  const [titles, ...lines] = cells(rows, verdict);
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(titles!), line(titles!.map(() => "---")), ...lines.map(line)]
    .join("\n");
}
