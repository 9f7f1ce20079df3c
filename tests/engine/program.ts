/** Programs of their own: what concerns a whole process. */

/** A module of the tree, as an import in a program names it. */
export function module(path: string): string {
  return JSON.stringify(new URL(path, import.meta.url).href);
}

/** What the programs import. */
export const PRELUDE = `
  import { configureEngine, engine, OPERATION } from ${
  module("../../lib/engine/mod.ts")
};
  import { BufferPool } from ${module("../../lib/pool/mod.ts")};
  import { DirectFile } from ${module("../../lib/storage/mod.ts")};
  import { Adopted } from ${module("./files.ts")};
  const operation = (code, file) => ({ code, flags: 0, file, loan: undefined, start: 0, position: 0, length: 0 });
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;

/** How to run a program. */
export interface RunOptions {
  /** Permissions and other arguments before the program. @default {["-A"]} */
  args?: string[];
  env?: Record<string, string>;
  /** A command that runs the one behind it. */
  prefix?: string[];
}

/** Runs a program to its end; a time that is far more than enough stands for "it hangs". */
export async function run(
  source: string,
  path: string,
  { args = ["-A"], env = {}, prefix = [] }: RunOptions = {},
): Promise<{ output: string; success: boolean }> {
  const program = `${path}/program.js`;
  Deno.writeTextFileSync(program, PRELUDE + source);
  const [command, ...rest] = [
    ...prefix,
    Deno.execPath(),
    "run",
    "--no-check",
    ...args,
    program,
    path,
  ];
  const { stdout, stderr, success } = await new Deno.Command(command!, {
    args: rest,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(60_000),
  }).output();
  const text = new TextDecoder();
  return { output: text.decode(stdout) + text.decode(stderr), success };
}
