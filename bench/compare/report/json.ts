/** The rows as JSON. */
import type { Machine } from "../machine.ts";
import { isMet, median, type Row, type Verdict } from "../row.ts";

/**
 * Makes the report of `--json`. `goal` and `met` are null without a goal, and `met` also where the
 * goals do not apply.
 */
export function jsonReport(
  machine: Machine,
  rows: readonly Row[],
  verdict: Verdict,
): string {
  return JSON.stringify(
    {
      machine,
      rows: rows.map((row) => ({
        id: row.id,
        name: row.name,
        goal: row.goal?.text ?? null,
        median: median(row.values),
        min: Math.min(...row.values),
        max: Math.max(...row.values),
        unit: row.unit,
        met: verdict(row) ? isMet(row) ?? null : null,
        reference: row.reference,
      })),
    },
    null,
    2,
  ) + "\n";
}
