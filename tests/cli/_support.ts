/** Runs the command line, in this process or another one. */
import { main } from "../../lib/cli/mod.ts";

/** The arguments of `deno` that start the program. */
export const PROGRAM: readonly string[] = [
  "run",
  "--quiet",
  "--no-prompt",
  "--no-check",
  "--allow-ffi",
  "--allow-read",
  "--allow-write",
  new URL("../../lib/cli/mod.ts", import.meta.url).pathname,
];

/** A temporary directory. It is removed with its contents. */
export class Directory implements Disposable {
  readonly path: string = Deno.makeTempDirSync({ prefix: "basalt_cli_" });

  /** Returns a path in it. */
  file(name: string): string {
    return `${this.path}/${name}`;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** The result of a run. */
export interface Ran {
  code: number;
  bytes: Uint8Array<ArrayBuffer>;
  /** Standard output and standard error as text. */
  out: string;
  errors: string;
}

class Gathered {
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];

  writeSync(bytes: Uint8Array): number {
    this.#parts.push(bytes.slice());
    return bytes.length;
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await new Blob(this.#parts).arrayBuffer());
  }
}

/**
 * Runs a command. Standard input gives `input`, in parts of at most `partBytes`. With `columns`,
 * standard output is a terminal.
 */
export async function basalt(
  args: readonly string[],
  input: Uint8Array = new Uint8Array(0),
  partBytes = Infinity,
  columns?: number,
): Promise<Ran> {
  const [output, errors] = [new Gathered(), new Gathered()];
  let at = 0;
  const code = await main(args, {
    input: {
      read(bytes: Uint8Array): Promise<number | null> {
        const part = input.subarray(
          at,
          at + Math.min(partBytes, bytes.length),
        );
        bytes.set(part);
        at += part.length;
        return Promise.resolve(part.length === 0 ? null : part.length);
      },
    },
    output,
    errors,
    interactive: false,
    outputIsTerminal: columns !== undefined,
    columns: () => columns,
  });
  const bytes = await output.bytes();
  const text = new TextDecoder();
  return {
    code,
    bytes,
    out: text.decode(bytes),
    errors: text.decode(await errors.bytes()),
  };
}

/**
 * Runs a shell script in the directory; `"$@"` is the program. Mounts of the script end with it.
 * Returns its output and its errors.
 */
export async function withMounts(
  dir: Directory,
  script: string,
): Promise<[out: string, errors: string]> {
  const { stdout, stderr } = await new Deno.Command("unshare", {
    args: ["--mount", "sh", "-c", script, "sh", Deno.execPath(), ...PROGRAM],
    cwd: dir.path,
  }).output();
  const text = new TextDecoder();
  return [text.decode(stdout), text.decode(stderr)];
}

/** Waits until a condition holds, at most ten seconds. */
export async function waitFor(so: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await so()); tries++) {
    if (tries === 200) throw new Error("It did not happen within ten seconds");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
