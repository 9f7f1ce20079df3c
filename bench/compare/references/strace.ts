/** Counts the sync calls of a program. */
import { available } from "../../../tools/run.ts";

/**
 * System calls that make bytes durable. Only their start counts, because `-f` may print the end
 * separately.
 */
const SYNC =
  /\b(?:fsync|fdatasync|sync_file_range|syncfs)\(|\bmsync\(.*MS_SYNC|\bpwritev2\((?!.*iov_len=0\}\]).*RWF_D?SYNC/;
const CALLS = "fsync,fdatasync,sync_file_range,syncfs,msync,pwritev2";

/** Returns why syncs cannot be counted here, or `undefined`. */
export async function straceObstacle(): Promise<string | undefined> {
  if (!await available("strace", ["--version"])) {
    return "strace is not installed";
  }
  return await available("strace", ["-f", "-o", "/dev/null", "true"])
    ? undefined
    : "strace may not trace here";
}

/** A program's syncs, and what it printed. */
export interface Counted {
  readonly syncs: number;
  /** Syncs by the name of the call. */
  readonly calls: Readonly<Record<string, number>>;
  readonly output: string;
}

/**
 * Runs a program under strace and counts the syncs of files below a directory.
 *
 * Syncs of other files are those of the runtime's caches. strace does not see the operations of an
 * io_uring, so Basalt runs on its engine of threads, which makes as many syncs.
 *
 * @throws {Error} If the program fails.
 */
export async function countSyncs(
  command: string,
  args: readonly string[],
  dir: string,
): Promise<Counted> {
  const trace = Deno.makeTempFileSync({ prefix: "basalt-strace-" });
  try {
    const { success, stdout, stderr } = await new Deno.Command("strace", {
      args: [
        "-f",
        "-qq",
        // Prints descriptors with the paths of their files.
        "-y",
        "-e",
        `trace=${CALLS}`,
        "-o",
        trace,
        command,
        ...args,
      ],
      env: { BASALT_ENGINE: "threads", NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
    if (!success) throw new Error(`${command} failed: ${text(stderr)}`);
    const calls: Record<string, number> = {};
    for (const line of Deno.readTextFileSync(trace).split("\n")) {
      if (!SYNC.test(line)) continue;
      // Memory has no path. The runtime maps none of its files for writing.
      if (!line.includes(`<${dir}`) && !line.includes("msync(")) continue;
      const name = /(\w+)\(/.exec(line)![1]!;
      calls[name] = (calls[name] ?? 0) + 1;
    }
    const syncs = Object.values(calls).reduce((sum, count) => sum + count, 0);
    return { syncs, calls, output: text(stdout) };
  } finally {
    Deno.removeSync(trace);
  }
}
