/** The page of `--html`: one file that needs no network and no script. */
import { type Machine, machineLines } from "../machine.ts";
import type { Curves, Row, Verdict } from "../row.ts";
import {
  distinctCurves,
  percentileChart,
  ratioChart,
  seriesChart,
} from "./charts.ts";
import { cells } from "./table.ts";

const STYLE = `
:root {
  color-scheme: light dark;
  --page: #fff; --text: #1d2129; --muted: #667080; --line: #e2e5ea;
  --ours: #0b62b5; --theirs: #b5540b; --goal: #1d2129;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --text: #e4e7ec; --muted: #949cab; --line: #2c323c;
    --ours: #6cb3f5; --theirs: #f0a35e; --goal: #e4e7ec;
  }
}
body {
  margin: 0 auto; padding: 24px; max-width: 960px;
  background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif;
}
h1 { font-size: 24px; margin: 0 0 8px; }
h2 { font-size: 18px; margin: 36px 0 8px; }
p, ul { margin: 4px 0; }
ul { padding-left: 20px; }
svg { max-width: 100%; height: auto; overflow: visible; }
.scroll { overflow-x: auto; }
.scroll svg { min-width: 640px; }
table { border-collapse: collapse; font-size: 13px; line-height: 1.35; }
th, td {
  padding: 5px 10px 5px 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line);
}
th { white-space: nowrap; }
td:nth-child(1), td:nth-child(3), td:nth-child(4), td:nth-child(5) { white-space: nowrap; }
td { font-variant-numeric: tabular-nums; }
td:nth-child(2) { min-width: 160px; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--page); }
@media (min-width: 700px) { .narrow { display: none; } }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(400px, 100%), 1fr)); gap: 20px; }
figure { margin: 0; }
figcaption { font-size: 13px; }
.ours { color: var(--ours); } .theirs { color: var(--theirs); } .muted { color: var(--muted); }
`;

/** Writes the page. */
export function writeHtml(
  path: string,
  machine: Machine,
  rows: readonly Row[],
  verdict: Verdict,
  notes: readonly string[],
): void {
  const [titles, ...lines] = cells(rows, verdict);
  const list = (items: readonly string[]): string =>
    `<ul>${items.map((item) => `<li>${escape(item)}</li>`).join("")}</ul>`;
  const line = (tag: string, values: readonly string[]): string =>
    `<tr>${
      values.map((value) => `<${tag}>${escape(value)}</${tag}>`).join("")
    }</tr>`;
  const open = rows.some(verdict) ? "; an open dot misses it" : "";
  const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Basalt, compared</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Basalt, compared</h1>
${list([...machineLines(machine), ...notes])}
<h2>Ratios</h2>
<p class="muted">A dot is the median of the pairs, the line their spread, the tick the goal${open}. The axis is logarithmic. bench/README.md describes each row.</p>
<p class="muted narrow">The chart and the table scroll sideways.</p>
<div class="scroll">${ratioChart(rows, verdict)}</div>
<h2>Table</h2>
<div class="scroll"><table><thead>${line("th", titles!)}</thead><tbody>
${lines.map((cells) => line("td", cells)).join("\n")}
</tbody></table></div>
${section("Latency by percentile", rows, "percentiles", percentileChart)}
${
    section(
      "Throughput over time, of the middle run",
      rows,
      "series",
      seriesChart,
    )
  }
</body>
</html>
`;
  Deno.writeTextFileSync(path, page);
}

function section(
  title: string,
  rows: readonly Row[],
  kind: "percentiles" | "series",
  chart: (curves: Curves) => string,
): string {
  const figures = distinctCurves(rows, kind).map(({ title, curves }) =>
    `<figure><figcaption><b>${escape(title)}</b><br><span class="ours">━ ${
      escape(curves.ours.name)
    }</span> <span class="theirs">┅ ${
      escape(curves.theirs.name)
    }</span></figcaption>${chart(curves)}</figure>`
  );
  return figures.length === 0
    ? ""
    : `<h2>${title}</h2>\n<div class="grid">${figures.join("\n")}</div>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(
    ">",
    "&gt;",
  );
}
