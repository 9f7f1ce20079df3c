/** Runs the parts of the test command: processes and their results. */
import { AsyncLocalStorage } from "node:async_hooks";

/** What a part of the run counted. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** A finished process. */
export interface Finished {
  code: number;
  output: string;
}

/** The checkout. */
export const ROOT: string = decodeURIComponent(
  new URL("..", import.meta.url).pathname,
);

/** The prefix of each line of output in its context. */
export const linePrefix: AsyncLocalStorage<string> = new AsyncLocalStorage();

/** Runs a command to its end. Keeps its output and, unless told otherwise, shows it. */
export async function run(
  command: string,
  args: readonly string[],
  options: {
    env?: Record<string, string>;
    cwd?: string;
    quiet?: boolean;
  } = {},
): Promise<Finished> {
  const child = new Deno.Command(command, {
    args: [...args],
    cwd: options.cwd ?? ROOT,
    env: { NO_COLOR: "1", CARGO_TERM_COLOR: "never", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const prefix = linePrefix.getStore() ?? "";
  const show = async (
    stream: ReadableStream<Uint8Array>,
    print: (text: string) => void,
  ): Promise<void> => {
    let line = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      output += text;
      const lines = (line + text).split("\n");
      line = lines.pop()!;
      if (options.quiet) continue;
      for (const each of lines) print(prefix + each);
    }
    if (!options.quiet && line !== "") print(prefix + line);
  };
  const [status] = await Promise.all([
    child.status,
    show(child.stdout, console.log),
    show(child.stderr, console.error),
  ]);
  return { code: status.code, output };
}

/** Whether a command can be started. */
export async function available(
  command: string,
  args: readonly string[],
): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(command, {
      args: [...args],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}

/** Counts a single check: passed or failed. */
export function verdict(finished: Finished): Counts {
  return finished.code === 0
    ? { passed: 1, failed: 0, skipped: 0 }
    : { passed: 0, failed: 1, skipped: 0 };
}

/**
 * Adds up the lines `test result: … N passed; N failed; N ignored` of cargo. A run that failed
 * without a failed test counts as one failure.
 */
export function cargoCounts(finished: Finished): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const lines = finished.output.matchAll(
    /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm,
  );
  for (const [, passed, failed, ignored] of lines) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
    counts.skipped += Number(ignored);
  }
  return orFailed(counts, finished);
}

/** Reads the final lines `ok | N passed | N failed | N ignored` of `deno test`. */
export function denoCounts(finished: Finished): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const lines = finished.output.matchAll(
    /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(?:.*? \| (\d+) ignored)?/gm,
  );
  for (const [, passed, failed, ignored = 0] of lines) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
    counts.skipped += Number(ignored);
  }
  return orFailed(counts, finished);
}

/**
 * Returns the names of the tests that `deno test` ran, and whether they were ignored. A reason in a
 * name is removed.
 */
export function testsOf(finished: Finished): Map<string, boolean> {
  const lines = finished.output.matchAll(
    /^(.+?)(?: \(skipped: .*\))? \.\.\. (ok|FAILED|ignored)/gm,
  );
  return new Map([...lines].map(([, name, how]) => [name!, how === "ignored"]));
}

function orFailed(counts: Counts, finished: Finished): Counts {
  const unexplained = finished.code !== 0 && counts.failed === 0 ||
    counts.passed + counts.failed === 0;
  return unexplained ? { ...counts, failed: counts.failed + 1 } : counts;
}
