/** A line of the table: what was compared, its goal, and how it came out. */
import type { Measured, Metric, Percentiles } from "./measure.ts";
import { PERCENTILES } from "./measure.ts";

/** What a value should be. */
export interface Goal {
  readonly relation: "≥" | "≤";
  readonly limit: number;
  /** As it is printed. */
  readonly text: string;
}

/** A goal of at least this value. */
export function atLeast(limit: number): Goal {
  return { relation: "≥", limit, text: `≥ ${limit}` };
}

/** A goal of at most this value; a fraction such as 1/8 may be given by its denominator. */
export function atMost(limit: number, denominator = 1): Goal {
  const text = denominator === 1 ? `≤ ${limit}` : `≤ ${limit}/${denominator}`;
  return { relation: "≤", limit: limit / denominator, text };
}

/** What the page draws of a row, beside its ratios. */
export interface Curves {
  readonly ours: Curve;
  readonly theirs: Curve;
}

/** One side of {@linkcode Curves}: medians over the runs. */
export interface Curve {
  readonly name: string;
  readonly percentiles?: Percentiles;
  readonly series?: readonly number[];
}

/** A line of the table. */
export interface Row {
  /** The number of the goal and what of it, such as `P2.tasks8`. */
  readonly id: string;
  readonly name: string;
  /** Not given where a figure is printed for comparison only. */
  readonly goal?: Goal | undefined;
  /** `"ratio"`: ours by theirs; else the unit of ours alone. */
  readonly unit: string;
  readonly reference: string;
  /** A value for each pair. */
  readonly values: readonly number[];
  /** Absolute figures, as printed. */
  readonly ours: string;
  readonly theirs: string;
  readonly curves?: Curves | undefined;
}

/** The middle of the values; of two middle ones, their mean. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[half]!
    : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Whether the median of the row is what it should be; `undefined` without a goal. */
export function isMet({ goal, values }: Row): boolean | undefined {
  if (goal === undefined) return undefined;
  const value = median(values);
  return goal.relation === "≥" ? value >= goal.limit : value <= goal.limit;
}

/** Whether the goal of a row holds on every machine: those of P are for one kind. */
export function holdsAnywhere({ id }: Row): boolean {
  return !id.startsWith("P");
}

/** Decides whether a row gets a verdict: a shortened run says nothing. */
export type Verdict = (row: Row) => boolean;

/** A side of a comparison: its name, and a run for each pair. */
export interface Side {
  readonly name: string;
  readonly runs: readonly Measured[];
}

/** Compares two sides run by run. */
export function compareSides(
  what: { id: string; name: string; goal?: Goal; beside?: string },
  metric: Metric,
  ours: Side,
  theirs: Side,
): Row {
  const of = ({ runs }: Side): number[] => runs.map((run) => metric.of(run));
  const [mine, others] = [of(ours), of(theirs)];
  const absolute = (values: number[]): string => metric.format(median(values));
  const beside = what.beside === undefined ? "" : `; ${what.beside}`;
  return {
    id: what.id,
    name: what.name,
    goal: what.goal,
    unit: "ratio",
    reference: theirs.name,
    values: mine.map((value, i) => value / others[i]!),
    ours: absolute(mine),
    theirs: absolute(others) + beside,
    curves: { ours: curve(ours), theirs: curve(theirs) },
  };
}

/** A figure of ours alone. */
export function ownFigure(
  what: {
    id: string;
    name: string;
    goal?: Goal;
    unit: string;
    reference: string;
    ours?: string;
    theirs?: string;
  },
  values: readonly number[],
): Row {
  return {
    ...what,
    values,
    ours: what.ours ?? `${median(values).toPrecision(3)} ${what.unit}`,
    theirs: what.theirs ?? "",
  };
}

function curve({ name, runs }: Side): Curve {
  const percentiles = runs.every((run) => run.percentiles !== undefined)
    ? PERCENTILES.map((_, i) => median(runs.map((run) => run.percentiles![i]!)))
    : undefined;
  // A curve of the middle run: the mean of several would hide what one does.
  const series = runs[runs.length >> 1]?.series;
  return {
    name,
    ...percentiles === undefined ? {} : { percentiles },
    ...series === undefined || series.length < 2 ? {} : { series },
  };
}
