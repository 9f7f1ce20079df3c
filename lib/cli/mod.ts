/**
 * The command-line program: `deno run --allow-ffi --allow-read --allow-write jsr:@basalt/io/cli`.
 *
 * `deno install --global --name basalt` with the same permissions makes a command of it; in a
 * checkout, with `--config deno.json` and `lib/cli/mod.ts`.
 *
 * @example A command in this process
 * ```ts
 * import { main } from "@basalt/io/cli";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--help"]), 0);
 * ```
 *
 * @module
 */
import { checkPlatform } from "../native/mod.ts";
import { Console, ProcessStreams, type Streams } from "./console.ts";
import { run } from "./run.ts";
import type { ByteSink } from "./terminal.ts";

/**
 * Runs a command.
 *
 * @param args What follows the program's name, such as `["inspect", "/data/log"]`.
 * @param streams Where it reads and writes. @default {the process's own}
 * @returns The exit code: 0 for success, 1 for failure, 2 for wrong use, 130 when interrupted.
 *
 * @example Asking how a command is used
 * ```ts
 * import { main } from "@basalt/io/cli";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["read", "--help"]), 0);
 * ```
 */
export async function main(
  args: readonly string[],
  streams?: Streams,
): Promise<number> {
  checkPlatform();
  if (streams !== undefined) return await run(args, new Console(streams));
  using own = new ProcessStreams();
  return await run(args, new Console(own));
}

export type { ByteSink, Streams };

if (import.meta.main) {
  checkPlatform(); // `Deno` may be missing.
  Deno.exit(await main(Deno.args));
}
