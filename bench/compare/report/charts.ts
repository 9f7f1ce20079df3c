/**
 * Charts of the page, drawn as SVG when the report is made, because the page needs no network and
 * no script.
 */
import * as Plot from "npm:@observablehq/plot@0.6.17";
import { parseHTML } from "npm:linkedom@0.18.12";
import { BUCKET_MS, formatMicros, PERCENTILES } from "../measure.ts";
import {
  type Curve,
  type Curves,
  isMet,
  median,
  type Row,
  type Verdict,
} from "../row.ts";

// The types of a browser are not loaded here, because the page is drawn without one.
const { document } = parseHTML("<html><body></body></html>") as unknown as {
  document: NonNullable<Plot.PlotOptions["document"]>;
};

/** The page defines the colors, for light and dark. */
const OURS = "var(--ours)";
const THEIRS = "var(--theirs)";
const GOAL = "var(--goal)";
const MUTED = "var(--muted)";

const ROW_HEIGHT = 24;
const WIDTH = 920;
const SMALL = { width: 440, height: 250, marginLeft: 56, marginBottom: 36 };

function svg(options: Plot.PlotOptions): string {
  const chart = Plot.plot({
    ...options,
    document,
    style: { background: "none", fontSize: "11px" },
  });
  return chart.outerHTML;
}

/**
 * 1, 2 and 5 of each power of ten, because most ticks of Plot's logarithmic axis have no number.
 */
const TICKS: readonly number[] = Array.from(
  { length: 14 },
  (_, i) => [1, 2, 5].map((step) => Number(`${step}e${i - 5}`)),
).flat();

/** Returns the ticks within the values. */
function ticksWithin(values: readonly number[]): number[] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return TICKS.filter((tick) => tick >= low && tick <= high);
}

/** Draws the ratio of each row: the median as a dot, the spread as a line, the goal as a tick. */
export function ratioChart(rows: readonly Row[], verdict: Verdict): string {
  const shown = rows.filter(({ unit, values }) =>
    unit === "ratio" && values.every((value) => value > 0)
  );
  const data = shown.map((row) => ({
    id: row.id,
    median: median(row.values),
    low: Math.min(...row.values),
    high: Math.max(...row.values),
    goal: row.goal?.limit,
    missed: verdict(row) && isMet(row) === false,
    title: `${row.id}: ${row.name}\n${row.ours}\n${row.theirs}`,
  }));
  const ticks = ticksWithin(
    data.flatMap(({ low, high, goal }) => [low, high, goal ?? 1]),
  );
  return svg({
    width: WIDTH,
    height: ROW_HEIGHT * data.length + 50,
    marginLeft: 130,
    x: { type: "log", label: null },
    y: { domain: data.map(({ id }) => id), label: null },
    marks: [
      Plot.gridX(ticks),
      Plot.axisX(ticks, {
        text: (x: number) => `${x}`,
        label: "Basalt by reference",
      }),
      Plot.ruleX([1], { stroke: MUTED }),
      Plot.link(data, {
        x1: "low",
        x2: "high",
        y1: "id",
        y2: "id",
        stroke: OURS,
        strokeWidth: 3,
        strokeOpacity: 0.4,
      }),
      Plot.tickX(data.filter(({ goal }) => goal !== undefined), {
        x: "goal",
        y: "id",
        stroke: GOAL,
        strokeWidth: 2,
      }),
      Plot.dot(data, {
        x: "median",
        y: "id",
        r: 5,
        stroke: OURS,
        strokeWidth: 2,
        // A missed goal is an open dot, because color alone would not suffice.
        fill: (row: { missed: boolean }) => row.missed ? "var(--page)" : OURS,
        title: "title",
      }),
    ],
  });
}

/** Returns each pair of sides once, because several rows may come from the same runs. */
export function distinctCurves(
  rows: readonly Row[],
  kind: "percentiles" | "series",
): { title: string; curves: Curves }[] {
  const seen = new Set<string>();
  const distinct: { title: string; curves: Curves }[] = [];
  for (const { id, name, curves } of rows) {
    if (curves === undefined) continue;
    const [ours, theirs] = [curves.ours[kind], curves.theirs[kind]];
    if (ours === undefined || theirs === undefined) continue;
    const key = JSON.stringify([id.split(".")[0], ours, theirs]);
    if (seen.has(key)) continue;
    seen.add(key);
    distinct.push({ title: `${id}: ${name}`, curves });
  }
  return distinct;
}

/** Draws latency by percentile. The axis is stretched towards 100, where the sides differ. */
export function percentileChart({ ours, theirs }: Curves): string {
  const stretch = (percentile: number): number =>
    -Math.log10(1 - percentile / 100);
  const points = (curve: Curve) =>
    PERCENTILES.flatMap((percentile, i) =>
      percentile === 100
        ? []
        : [{ x: stretch(percentile), y: curve.percentiles![i]! }]
    );
  const ticks = ticksWithin(
    [...points(ours), ...points(theirs)].map(({ y }) => y),
  );
  return svg({
    ...SMALL,
    x: {
      label: "percentile",
      ticks: [50, 90, 99, 99.9, 99.99].map(stretch),
      tickFormat: (x: number) => `${Number((100 - 10 ** (2 - x)).toFixed(2))}`,
    },
    y: { type: "log", label: null },
    marks: [
      Plot.gridY(ticks),
      Plot.axisY(ticks, { text: formatMicros, label: null }),
      Plot.line(points(theirs), {
        x: "x",
        y: "y",
        stroke: THEIRS,
        strokeDasharray: "5 3",
      }),
      Plot.line(points(ours), {
        x: "x",
        y: "y",
        stroke: OURS,
        strokeWidth: 2,
      }),
    ],
  });
}

/** Draws throughput over the time of one run. */
export function seriesChart({ ours, theirs }: Curves): string {
  const points = (curve: Curve) =>
    curve.series!.map((bytes, i) => ({
      x: i * BUCKET_MS / 1e3,
      y: bytes / (BUCKET_MS / 1e3) / 1e9,
    }));
  return svg({
    ...SMALL,
    x: { label: "seconds" },
    y: { label: "GB/s", grid: true, zero: true, ticks: 5 },
    marks: [
      Plot.ruleY([0], { stroke: MUTED }),
      Plot.line(points(theirs), {
        x: "x",
        y: "y",
        stroke: THEIRS,
        strokeDasharray: "5 3",
      }),
      Plot.line(points(ours), {
        x: "x",
        y: "y",
        stroke: OURS,
        strokeWidth: 2,
      }),
    ],
  });
}
