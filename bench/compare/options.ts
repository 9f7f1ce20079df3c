/** The arguments of `deno task compare`. */
import { parseArgs } from "node:util";

/** The options of a run. */
export interface CompareOptions {
  /** The directory of the disk to measure. */
  readonly directory: string;
  /** Two pairs of {@linkcode QUICK_IDS}, unless {@linkcode CompareOptions.only} names others. */
  readonly quick: boolean;
  /** Names of goals, such as `P3` or `W1`; all if the list is empty. */
  readonly only: readonly string[];
  /** Factor for durations and sizes. Below 1, figures mean nothing. */
  readonly scale: number;
  readonly html?: string | undefined;
  readonly json?: string | undefined;
  readonly markdown?: string | undefined;
}

/** The goals of `--quick`, in the order of the table. */
export const QUICK_IDS = ["P1", "P3", "W1", "W2", "W3", "W11"];

/** The usage text. */
export const USAGE =
  `Usage: deno task compare [--quick] [--only P3,...] [--html FILE] [--json FILE] [--markdown FILE] DIR

Compares Basalt with what you could use instead, on the disk that DIR is on.

  --quick          two pairs instead of five, of ${
    QUICK_IDS.join(", ")
  } unless --only is given
  --only IDS       only these goals, such as W1 or P1,P9
  --html FILE      also writes a page with curves
  --json FILE      also writes the rows as JSON
  --markdown FILE  also writes the table as Markdown, between two markers if FILE has them
  --scale NUMBER   multiplies durations and sizes; below 1 the figures mean nothing`;

/**
 * Parses the arguments.
 *
 * @throws {TypeError} If they are wrong, with a message that says which.
 */
export function compareOptions(
  args: readonly string[],
  ids: readonly string[],
): CompareOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: "boolean" },
      only: { type: "string" },
      scale: { type: "string" },
      html: { type: "string" },
      json: { type: "string" },
      markdown: { type: "string" },
    },
  });
  if (positionals.length !== 1) {
    throw new TypeError(
      `One directory is needed: received ${positionals.length}`,
    );
  }
  const only = values.only?.split(",") ?? [];
  const unknown = only.find((id) => !ids.includes(id));
  if (unknown !== undefined) {
    throw new TypeError(
      `'--only' takes ${ids.join(", ")}: received '${unknown}'`,
    );
  }
  const scale = Number(values.scale ?? 1);
  if (!(scale > 0 && scale <= 100)) {
    throw new TypeError(
      `'--scale' must be a number above 0 and up to 100: received '${values.scale}'`,
    );
  }
  return {
    directory: positionals[0]!,
    quick: values.quick ?? false,
    only,
    scale,
    html: values.html,
    json: values.json,
    markdown: values.markdown,
  };
}
