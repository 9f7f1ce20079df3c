/** A state of a disk as a line of text: all that it takes to make it again. */
import type { Step } from "./_scenario.ts";

/** The state that a power cut at one moment of one scenario left. */
export interface CrashState {
  /** The name of the setting. */
  readonly setting: string;
  /** The name of the rule that is broken, if any. */
  readonly mutant: string | undefined;
  /** The number of the sync after the first opening that fails, if any. */
  readonly failingSync: number | undefined;
  readonly seed: number;
  /** What was done after the first opening; the power fails in the last one. */
  readonly steps: readonly Step[];
  /** The operation of the last step that had begun, from 1; after them, its end. */
  readonly point: number;
  /** The unsynced units that are left: unit *i* if bit *i* is set. */
  readonly left: bigint;
}

/** The variable that tells `replay_test.ts` what to replay. */
export const REPLAY = "BASALT_CRASH_REPLAY";

/** The command that checks this state again, and no other. */
export function replayCommand(state: CrashState): string {
  const text = JSON.stringify(
    state,
    (_, value) => typeof value === "bigint" ? `0b${value.toString(2)}` : value,
  );
  return `${REPLAY}='${text}' deno test -A tests/crash/replay_test.ts`;
}

/** The state that a variable of {@linkcode replayCommand} tells. */
export function crashState(text: string): CrashState {
  const { mutant, failingSync, left, ...rest } = JSON.parse(text);
  return { ...rest, mutant, failingSync, left: BigInt(left) };
}
