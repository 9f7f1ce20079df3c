/**
 * Programs that a comparison runs in processes of their own. Each prints its result as one line of
 * JSON.
 */
import type { Context } from "../context.ts";

/** Returns the arguments of Deno for a program of this directory. */
export function programArguments(
  name: string,
  args: readonly string[],
  flags: readonly string[] = [],
): string[] {
  const path = decodeURIComponent(new URL(name, import.meta.url).pathname);
  return ["run", "--quiet", "--allow-all", ...flags, path, ...args];
}

/** Runs a program to its end and returns the row that it printed. */
export async function runProgram<Result>(
  context: Context,
  name: string,
  args: readonly string[],
  flags: readonly string[] = [],
): Promise<Result> {
  const output = await context.run(
    Deno.execPath(),
    programArguments(name, args, flags),
  );
  return JSON.parse(output) as Result;
}

/**
 * Starts a program, reads the first line that it prints, and kills it before it can end cleanly.
 * Returns the line.
 */
export async function runAndKill<Result>(
  context: Context,
  name: string,
  args: readonly string[],
): Promise<Result> {
  const child = context.spawn(Deno.execPath(), {
    args: programArguments(name, args),
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  });
  let text = "";
  for await (
    const part of child.stdout.pipeThrough(new TextDecoderStream())
  ) {
    text += part;
    if (text.includes("\n")) break;
  }
  if (text.includes("\n")) child.kill("SIGKILL");
  const { code } = await child.status;
  if (!text.includes("\n")) throw new Error(`${name} ended with ${code}`);
  return JSON.parse(text) as Result;
}
