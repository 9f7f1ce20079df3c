/** A line of the table: what was compared, its goal, and the result. */
import type { Measured, Metric, Percentiles } from "./measure.ts";
import { PERCENTILES } from "./measure.ts";

/** What a value should be. */
export interface Goal {
  readonly relation: "≥" | "≤";
  readonly limit: number;
  /** The goal as it is printed. */
  readonly text: string;
}

/** Returns a goal of at least this value. */
export function atLeast(limit: number): Goal {
  return { relation: "≥", limit, text: `≥ ${limit}` };
}

/** Returns a goal of at most this value. A fraction such as 1/8 may be given by its denominator. */
export function atMost(limit: number, denominator = 1): Goal {
  const text = denominator === 1 ? `≤ ${limit}` : `≤ ${limit}/${denominator}`;
  return { relation: "≤", limit: limit / denominator, text };
}

/** The curves that the page draws of a row, besides its ratios. */
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
  /** The goal and which part of it, such as `P2.tasks8`. */
  readonly id: string;
  readonly name: string;
  /** Missing where a figure is printed for comparison only. */
  readonly goal?: Goal | undefined;
  /** `"ratio"` for ours divided by theirs, otherwise the unit of ours alone. */
  readonly unit: string;
  readonly reference: string;
  /** A value for each pair. */
  readonly values: readonly number[];
  /** Absolute figures, as printed. */
  readonly ours: string;
  readonly theirs: string;
  readonly curves?: Curves | undefined;
}

/** Returns the middle value, or the mean of two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[half]!
    : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Whether the median of the row meets its goal, or `undefined` without a goal. */
export function isMet({ goal, values }: Row): boolean | undefined {
  if (goal === undefined) return undefined;
  const value = median(values);
  return goal.relation === "≥" ? value >= goal.limit : value <= goal.limit;
}

/** Whether the goal of a row applies on every machine. Those of P are for one kind of machine. */
export function holdsAnywhere({ id }: Row): boolean {
  return !id.startsWith("P");
}

/** Decides whether a row gets a verdict. A shortened run has none. */
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

/** Makes a row of a figure of ours alone. */
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
  // The curve of the middle run, because the mean of several would hide what one does.
  const series = runs[runs.length >> 1]?.series;
  return {
    name,
    ...percentiles === undefined ? {} : { percentiles },
    ...series === undefined || series.length < 2 ? {} : { series },
  };
}
