/** A state of a disk as a line of text that is enough to make it again. */
import type { Step } from "./_scenario.ts";

/** The state that a power cut at one moment of one scenario left. */
export interface CrashState {
  /** Name of the setting. */
  readonly setting: string;
  /** Name of the broken rule, if any. */
  readonly mutant: string | undefined;
  /** Number of the sync after the first opening that fails, if any. */
  readonly failingSync: number | undefined;
  readonly seed: number;
  /** The steps after the first opening. The power is cut in the last one. */
  readonly steps: readonly Step[];
  /** The operation of the last step that had begun, from 1. One more is the end of the step. */
  readonly point: number;
  /** The unsynced units that are left: unit *i* if bit *i* is set. */
  readonly left: bigint;
}

/** The environment variable with the state that `replay_test.ts` replays. */
export const REPLAY = "BASALT_CRASH_REPLAY";

/** Returns the command that checks only this state again. */
export function replayCommand(state: CrashState): string {
  const text = JSON.stringify(
    state,
    (_, value) => typeof value === "bigint" ? `0b${value.toString(2)}` : value,
  );
  return `${REPLAY}='${text}' deno test -A tests/crash/replay_test.ts`;
}

/** Decodes the state from the variable of {@linkcode replayCommand}. */
export function crashState(text: string): CrashState {
  const { mutant, failingSync, left, ...rest } = JSON.parse(text);
  return { ...rest, mutant, failingSync, left: BigInt(left) };
}
