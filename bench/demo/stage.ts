/** Parts that the stages of the demonstration share. */

/** How fast one side was. */
export interface Rate {
  name: string;
  perSecond: number;
}

/** Where and how long the demonstration runs, and where it shows its progress. */
export interface Stage {
  /** How long each side is measured, in milliseconds. */
  readonly sideMs: number;
  /** Makes an empty directory, which is removed at the end of its block. */
  directory(): { readonly path: string } & Disposable;
  /** The running process of the demonstration, if there is one. */
  child?: Deno.ChildProcess | undefined;
  /** Shows the progress. */
  show(text: string): void;
}

/** The interval between turns of the event loop, for Ctrl-C. */
const TURN_MS = 50;

/**
 * Repeats a step until the time of a side is over, or the step returns `false`.
 *
 * @returns The seconds that it took.
 */
export async function until(
  { sideMs }: Stage,
  step: () => Promise<boolean>,
): Promise<number> {
  const start = performance.now();
  let turn = start;
  for (;;) {
    const goesOn = await step();
    const now = performance.now();
    if (!goesOn || now - start >= sideMs) return (now - start) / 1000;
    if (now - turn < TURN_MS) continue;
    turn = now;
    await new Promise((resolve) => setTimeout(resolve));
  }
}
