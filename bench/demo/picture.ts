/** The output of the demonstration in the terminal. */
import { cutToWidth, wrap } from "../../lib/cli/_terminal.ts";
import type { Ingest } from "./ingest.ts";
import type { Kill } from "./kills.ts";
import type { Rate } from "./stage.ts";

const LONGEST_BAR = 48;

/** How to draw. */
export interface Drawing {
  /** Columns of the terminal. */
  columns: number;
  /** Whether it shows colors. */
  hasColors: boolean;
}

/** Draws rates as bars, the first one in color, each beside its figure. */
export function formatBars(
  title: string,
  unit: string,
  rates: readonly Rate[],
  { columns, hasColors }: Drawing,
): string {
  const figures = rates.map(({ perSecond }) => formatRate(perSecond));
  const nameColumns = Math.max(...rates.map(({ name }) => name.length));
  const figureColumns = Math.max(...figures.map(({ length }) => length));
  const room = columns - nameColumns - figureColumns - 6;
  const barColumns = Math.max(1, Math.min(LONGEST_BAR, room));
  const most = Math.max(...rates.map(({ perSecond }) => perSecond));
  const rows = rates.map(({ name, perSecond }, i) => {
    const bar = drawBar(perSecond / most * barColumns);
    const shown = hasColors ? `\x1b[${i === 0 ? 36 : 90}m${bar}\x1b[0m` : bar;
    const space = " ".repeat(Math.max(0, barColumns - bar.length));
    return `  ${name.padEnd(nameColumns)}  ${shown}${space}  ${
      figures[i]!.padStart(figureColumns)
    }`;
  });
  return [wrap(`${title} (${unit})`, columns), ...rows].join("\n");
}

/** Draws a bar to an eighth of a column. It is never empty. */
function drawBar(columns: number): string {
  const eighths = Math.max(1, Math.round(columns * 8));
  const rest = eighths % 8;
  return "█".repeat(Math.floor(eighths / 8)) +
    (rest === 0 ? "" : String.fromCharCode(0x2590 - rest));
}

/** Returns a number with three digits and its power of a thousand. */
export function formatRate(count: number): string {
  const units = ["", " k", " M", " G"];
  let unit = 0;
  while (count >= 999.5 && unit < units.length - 1) {
    count /= 1000;
    unit++;
  }
  const digits = count < 9.995 ? 2 : count < 99.95 ? 1 : 0;
  return `${count.toFixed(unit === 0 ? 0 : digits)}${units[unit]}`;
}

/** Describes what was read back. */
export function formatReading(
  { comparedLines, readSeconds, tier }: Ingest,
  { columns }: Drawing,
): string {
  const rate = formatRate(comparedLines / readSeconds);
  const lines = formatRate(comparedLines);
  return [
    "  Deno.FsFile writes the bare bytes, without offsets, checksums or recovery.",
    `  Read back from the log: ${lines} lines, ${rate} a second, all equal. Tier: ${tier}.`,
  ].map((text) => wrap(text, columns, "  ")).join("\n");
}

/** Describes the log after a writer was killed. */
export function formatKill(
  number: number,
  { acknowledged, found, lost }: Kill,
  { columns, hasColors }: Drawing,
): string {
  const counts = columns < 64
    ? `${acknowledged} acked, ${found} found`
    : `${acknowledged} acknowledged, ${found} in the log`;
  const end = `${lost} lost`;
  const line = cutToWidth(`  ${number}  ${counts}, `, columns - end.length);
  const color = lost === 0 ? 32 : 31;
  return line + (hasColors ? `\x1b[${color}m${end}\x1b[0m` : end);
}
