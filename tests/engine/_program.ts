/** Programs in processes of their own, for what concerns a whole process. */

/** Returns how a program imports a module of the tree. */
export function module(path: string): string {
  return JSON.stringify(new URL(path, import.meta.url).href);
}

/** The imports of the programs. */
export const PRELUDE = `
  import { configureEngine, engine, OPERATION } from ${
  module("../../lib/engine/mod.ts")
};
  import { BufferPool } from ${module("../../lib/pool/mod.ts")};
  import { Log } from ${module("../../mod.ts")};
  import { DirectFile, DiskStorage } from ${module("../../lib/storage/mod.ts")};
  import { Adopted } from ${module("./_files.ts")};
  import { operation, runSync, submit } from ${module("./_operations.ts")};
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;

/** The numbers of system calls that a sandbox may refuse, on both architectures. */
const CALLS = {
  io_uring_setup: [425, 425],
  preadv2: [327, 286],
  pwritev2: [328, 287],
  statx: [332, 291],
  cachestat: [451, 451],
  fsync: [74, 82],
} as const;

/**
 * Returns code that makes system calls fail with an `errno` on its thread from then on, like a
 * container's seccomp profile.
 */
export function refuse(
  calls: readonly (keyof typeof CALLS)[],
  errno: number,
): string {
  const which = Deno.build.arch === "x86_64" ? 0 : 1;
  const instructions = [
    [0x20, 0, 0, 0], // the number of the call
    ...calls.map((name, i) => [0x15, calls.length - i, 0, CALLS[name][which]]),
    [0x06, 0, 0, 0x7fff_0000], // as usual
    [0x06, 0, 0, 0x0005_0000 | errno],
  ];
  return `{
  const { symbols: { prctl } } = Deno.dlopen("libc.so.6", {
    prctl: { parameters: ["i32", "u64", "buffer", "u64", "u64"], result: "i32" },
  });
  const filter = new DataView(new ArrayBuffer(${8 * instructions.length}));
  ${JSON.stringify(instructions)}.forEach(([code, jt, jf, k], i) => {
    filter.setUint16(8 * i, code, true);
    filter.setUint8(8 * i + 2, jt);
    filter.setUint8(8 * i + 3, jf);
    filter.setUint32(8 * i + 4, k, true);
  });
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, ${instructions.length}, true);
  program.setBigUint64(8, BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(filter))), true);
  if (prctl(38, 1n, null, 0n, 0n) !== 0 || prctl(22, 2n, program, 0n, 0n) !== 0) throw new Error("no seccomp");
}`;
}

/** Makes `io_uring_setup(2)` fail with EPERM. */
export const REFUSE_RINGS = refuse(["io_uring_setup"], 1);

/** How to run a program. */
export interface RunOptions {
  /** Permissions and other arguments before the program. @default {["-A"]} */
  args?: string[];
  env?: Record<string, string>;
  /** A command that runs the command after it. */
  prefix?: string[];
}

/**
 * Runs a program to its end. The time limit is far more than enough, so exceeding it means a hang.
 */
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
