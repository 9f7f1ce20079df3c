/**
 * Runs the command line: `deno run --allow-ffi --allow-read --allow-write jsr:@basalt/io/cli`.
 *
 * `deno install --global --name basalt` with the same permissions installs it as a command. In a
 * checkout, add `--config deno.json` and use `lib/cli/mod.ts`.
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
import { Console, processStreams, type Streams } from "./_console.ts";
import { run } from "./_run.ts";
import type { ByteSink } from "./_terminal.ts";

/**
 * Runs a command.
 *
 * @param args The arguments after the program's name, such as `["inspect", "/data/log"]`.
 * @param streams The streams of the command. Default: the process's own.
 * @returns The exit code: 0 for success, 1 for failure, 2 for wrong use, 130 when interrupted.
 *
 * @example The help of a command
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
  using own = processStreams();
  return await run(args, new Console(own));
}

export type { ByteSink, Streams };

if (import.meta.main) {
  checkPlatform(); // `Deno` may be missing.
  Deno.exit(await main(Deno.args));
}
