/** Copies of the package and other libraries, for tests of loading. */
import { assert } from "@std/assert";
import { embeddedModule } from "../../tools/embed.ts";

export const ROOT: string = new URL("../../", import.meta.url).pathname;
/** The build that the tests load. */
export const LIBRARY: string = `${ROOT}rust/target/release/libbasalt.so`;

/** What `load_worker.ts` reports. */
export interface WorkerOutcome {
  origin: string;
  limitBytes: number;
  id: number;
}

/** What `load_child.ts` prints: the library that was loaded, or the error. */
export interface Outcome {
  origin?: string;
  file?: string;
  /** How another worker of that process got it, where that was requested. */
  worker?: WorkerOutcome;
  /** How workers that started together got it. */
  raced?: WorkerOutcome[];
  error?: string;
  message?: string;
  found?: string;
  needed?: string;
  tried?: string[];
}

/** A temporary directory. It is removed when it is disposed. */
export class Scratch implements Disposable {
  readonly path: string = Deno.makeTempDirSync();
  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Copies the package's sources without a build, and with an embedded library if one is given. */
export function copyPackage(to: string, embedded?: Uint8Array): void {
  copy(`${ROOT}lib`, `${to}/lib`);
  Deno.copyFileSync(`${ROOT}mod.ts`, `${to}/mod.ts`);
  if (embedded === undefined) return;
  const { name, text } = embeddedModule(Deno.build.target, embedded);
  Deno.mkdirSync(`${to}/lib/native/embedded`);
  Deno.writeTextFileSync(`${to}/lib/native/embedded/${name}`, text);
}

function copy(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (name === "embedded") continue;
    if (isDirectory) copy(`${from}/${name}`, `${to}/${name}`);
    else Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}

/**
 * Loads the library of a package in another process, once for each path. Without a path, it loads
 * the default.
 */
export async function load(
  root: string,
  options: {
    flags?: string[];
    read?: string[];
    env?: Record<string, string>;
    paths?: (string | null)[];
    build?: Partial<typeof Deno.build>;
    worker?: boolean;
    race?: number;
  } = {},
): Promise<Outcome[]> {
  const { flags = ["--allow-ffi"], read = [], env = {}, ...rest } = options;
  const script = new URL("load_child.ts", import.meta.url).pathname;
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-lock",
      ...flags,
      // The script imports the given package.
      `--allow-read=${[root, new URL(".", import.meta.url).pathname, ...read]}`,
      script,
      root,
      JSON.stringify({ paths: [null], ...rest }),
    ],
    clearEnv: true,
    env: { NO_COLOR: "1", DENO_DIR: denoDirectory(), ...env },
    stdin: "null",
  }).output();
  const [out, errors] = [stdout, stderr].map((each) =>
    new TextDecoder().decode(each)
  );
  assert(success, errors!);
  return JSON.parse(out!);
}

/** Compiles a library from Rust source. */
export async function compile(source: string, to: string): Promise<string> {
  Deno.writeTextFileSync(`${to}.rs`, source);
  const { success, stderr } = await new Deno.Command("rustc", {
    args: ["--crate-type=cdylib", "--crate-name=other", "-o", to, `${to}.rs`],
    stdout: "null",
    stderr: "piped",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return to;
}

/** Deno's own cache, which these tests do not cover. */
function denoDirectory(): string {
  return Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`;
}
