/**
 * Native loops as a reference: the crate `bench/native_reference`, which is built at its first use.
 */
import { buildCrate } from "../../../tools/build.ts";
import { ROOT } from "../../../tools/run.ts";
import type { Context } from "../context.ts";
import { type Measured, PERCENTILES } from "../measure.ts";

const CRATE = "bench/native_reference";
const PROGRAM = `${ROOT}${CRATE}/target/release/native_reference`;

let built: boolean | undefined;

/** Whether the program exists. If not, what needs it is left out. */
export function hasNative(context: Context, what: string): boolean {
  built ??= buildCrate(CRATE) === true;
  if (!built) context.leaveOut(what, `${CRATE} needs cargo to be built`);
  return built;
}

/**
 * Writes blocks over a prewritten file with `pwritev2(RWF_DSYNC)`, bypassing the page cache. Each
 * is durable before the next.
 */
export async function nativeDsync(
  context: Context,
  file: string,
  blockBytes: number,
  ms: number,
): Promise<Measured> {
  const args = [
    "dsync",
    file,
    String(blockBytes),
    String(Math.round(ms)),
    PERCENTILES.join(":"),
  ];
  return JSON.parse(await context.run(PROGRAM, args)) as Measured;
}

/** Drops the pages of one of our files from the page cache. */
export async function dropPages(context: Context, file: string): Promise<void> {
  await context.run(PROGRAM, ["drop", file]);
}
