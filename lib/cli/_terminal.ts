import { Help } from "commander";

export { formatBytes } from "../base/mod.ts";

/** How often the progress line changes, in milliseconds. */
const PROGRESS_MS = 100;
/** Columns of a terminal that does not tell them. */
const COLUMNS = 80;
const ENCODER = new TextEncoder();

/** A stream that is written synchronously. */
export interface ByteSink {
  /** Writes some of the bytes, and returns how many. */
  writeSync(bytes: Uint8Array): number;
}

/**
 * Writes some of the bytes and returns how many. It waits for a stream that another program has
 * made non-blocking.
 */
export function writeSome(to: ByteSink, bytes: Uint8Array): number {
  for (let tries = 0;; tries++) {
    try {
      return to.writeSync(bytes);
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      sleepSync(retryDelayMs(tries));
    }
  }
}

/** Writes all of the bytes. */
export function writeAll(to: ByteSink, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSome(to, bytes.subarray(at));
}

/** Returns how long to wait for a stream without room or without bytes, in milliseconds. */
export function retryDelayMs(tries: number): number {
  return Math.min(50, 2 ** tries);
}

/** Waits as a blocking write does: nothing else runs meanwhile. */
function sleepSync(delayMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs);
}

/** Returns the columns of the process's terminal; `undefined` where there is none. */
export function terminalColumns(): number | undefined {
  try {
    return Deno.consoleSize().columns || undefined;
  } catch {
    return undefined;
  }
}

/**
 * Shows a progress line if standard error is a terminal.
 *
 * The line is decoration: if the terminal does not take it, it is left out.
 */
export class Progress {
  readonly #to: ByteSink;
  readonly #columns: () => number | undefined;
  #isInteractive: boolean;
  /** When the line was written last. */
  #shownAt = 0;
  #isShown = false;

  constructor(
    to: ByteSink = Deno.stderr,
    isInteractive: boolean = Deno.stderr.isTerminal(),
    columns: () => number | undefined = terminalColumns,
  ) {
    this.#to = to;
    this.#isInteractive = isInteractive;
    this.#columns = columns;
  }

  /** Shows what is being done, not too often. */
  show(text: string | (() => string)): void {
    const now = performance.now();
    if (!this.#isInteractive || now - this.#shownAt < PROGRESS_MS) return;
    this.#shownAt = now;
    this.#isShown = true;
    const line = typeof text === "string" ? text : text();
    // A full line would leave the cursor in the next one on some terminals.
    this.#write(cutToWidth(line, (this.#columns() ?? COLUMNS) - 1));
  }

  /** Clears the line. */
  end(): void {
    if (this.#isShown) this.#write("");
    this.#isShown = false;
  }

  #write(text: string): void {
    try {
      this.#to.writeSync(ENCODER.encode(`\r\x1b[K${text}`));
    } catch (error) {
      // A terminal that is gone does not come back.
      this.#isInteractive = error instanceof Deno.errors.WouldBlock;
    }
  }
}

/** Ranges of characters that take two columns in a terminal, with some among them that take one. */
const WIDE =
  /[\u1100-\u115f\u2300-\u27bf\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe0f-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16000}-\u{3ffff}\p{Extended_Pictographic}]/u;
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/gu;
const SEGMENTER = new Intl.Segmenter();

/**
 * Cuts text to columns of a terminal, with an ellipsis for the rest; control characters become `?`.
 */
export function cutToWidth(text: string, columns: number): string {
  const shown = text.replace(CONTROL, "?");
  /** The length of what leaves a column for the ellipsis. */
  let cut = 0;
  let width = 0;
  for (const { segment, index } of SEGMENTER.segment(shown)) {
    if (width < columns) cut = index;
    width += WIDE.test(segment) ? 2 : 1;
    if (width > columns) return `${shown.slice(0, cut)}…`;
  }
  return shown;
}

const LAYOUT = Object.assign(new Help(), { minWidthToWrap: 1 });

/**
 * Breaks text at spaces so that it fits a terminal. A longer word stays whole.
 *
 * @param columns The columns of the terminal. Default: no end.
 * @param indent Begins each line but the first, where as many characters are a label.
 */
export function wrap(text: string, columns = Infinity, indent = ""): string {
  const { length } = indent;
  const lines = LAYOUT.boxWrap(text.slice(length), columns - length);
  return text.slice(0, length) + lines.replaceAll("\n", `\n${indent}`);
}

/** Formats a number of things whose plural ends in "s". */
export function formatCount(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}

/** A last column of texts is wrapped if this many columns are left for it. */
const MIN_TEXT_COLUMNS = 24;

/**
 * Formats a table of rows below a header. The first column is aligned to the left and the others to
 * the right, unless told otherwise.
 *
 * Where the table is wider than the terminal, texts in its last column are wrapped. If that is not
 * enough, each row becomes a list of its cells.
 */
export function formatTable(
  rows: readonly (readonly string[])[],
  sides: readonly ("left" | "right")[] = ["left"],
  columns = Infinity,
): string {
  const widths = rows[0]!.map((_, i) =>
    Math.max(...rows.map((row) => row[i]!.length))
  );
  const isLeft = widths.map((_, i) => (sides[i] ?? "right") === "left");
  const last = widths.length - 1;
  const indent = widths.slice(0, last).map((n) => " ".repeat(n + 2)).join("");
  const room = columns - indent.length;
  const isWrapped = isLeft[last] && room >= MIN_TEXT_COLUMNS;
  if (widths[last]! <= room || isWrapped) {
    return rows.map((row) => {
      const cells = row.map((cell, i) =>
        isLeft[i] ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)
      );
      return wrap(cells.join("  ").trimEnd(), columns, indent);
    }).join("\n");
  }
  const [header, ...body] = rows;
  const width = Math.max(...header!.map((name) => name.length)) + 2;
  return body.map((row) =>
    row.map((cell, i) => header![i]!.padEnd(width) + cell)
      .filter((_, i) => row[i] !== "")
      .map((line) => wrap(line, columns, " ".repeat(width))).join("\n")
  ).join("\n\n");
}

/**
 * Formats a time in microseconds since the Unix epoch as ISO 8601, to the microsecond; as a number
 * if no date can show it.
 */
export function formatTime(micros: number): string {
  const ms = Math.floor(micros / 1000);
  if (ms > 8.64e15) return String(micros);
  const below = String(micros % 1000).padStart(3, "0");
  return new Date(ms).toISOString().replace("Z", `${below}Z`);
}
