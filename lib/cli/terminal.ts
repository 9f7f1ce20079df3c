/** How often the progress line changes, in milliseconds. */
const PROGRESS_MS = 100;
const ENCODER = new TextEncoder();

/** A stream that takes bytes at once. */
export interface ByteSink {
  /** Writes some of the bytes, and answers how many. */
  writeSync(bytes: Uint8Array): number;
}

/** Writes all of the bytes. */
export function writeAll(to: ByteSink, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
}

/** A progress line on the terminal; silent where standard error is none. */
export class Progress {
  readonly #to: ByteSink;
  readonly #interactive: boolean;
  /** When the line was written last. */
  #shownAt = 0;
  #shown = false;

  constructor(
    to: ByteSink = Deno.stderr,
    interactive: boolean = Deno.stderr.isTerminal(),
  ) {
    this.#to = to;
    this.#interactive = interactive;
  }

  /** Shows what is being done, not too often. */
  show(text: string | (() => string)): void {
    const now = performance.now();
    if (!this.#interactive || now - this.#shownAt < PROGRESS_MS) return;
    this.#shownAt = now;
    this.#shown = true;
    this.#write(typeof text === "string" ? text : text());
  }

  /** Clears the line. */
  end(): void {
    if (this.#shown) this.#write("");
    this.#shown = false;
  }

  #write(text: string): void {
    writeAll(this.#to, ENCODER.encode(`\r\x1b[K${text}`));
  }
}

/** A number of things, which have the plural in "s". */
export function formatCount(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}

/** Bytes with a binary unit and three digits or so. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${units[unit]}`;
}

/** Rows in columns: the first one to the left, the others to the right, unless told otherwise. */
export function formatTable(
  rows: readonly (readonly string[])[],
  sides: readonly ("left" | "right")[] = ["left"],
): string {
  const widths = rows[0]!.map((_, i) =>
    Math.max(...rows.map((row) => row[i]!.length))
  );
  return rows.map((row) =>
    row.map((cell, i) =>
      (sides[i] ?? "right") === "left"
        ? cell.padEnd(widths[i]!)
        : cell.padStart(widths[i]!)
    ).join("  ").trimEnd()
  ).join("\n");
}

/** A time in microseconds since the Unix epoch as ISO 8601, to the microsecond; as a number where no date can show it. */
export function formatTime(micros: number): string {
  const ms = Math.floor(micros / 1000);
  if (ms > 8.64e15) return String(micros);
  const below = String(micros % 1000).padStart(3, "0");
  return new Date(ms).toISOString().replace("Z", `${below}Z`);
}
