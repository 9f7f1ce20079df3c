/** Builds Rust crates where they are used. */
import { Progress } from "../lib/cli/_terminal.ts";
import { ROOT } from "./run.ts";

/**
 * Builds a crate of the checkout with optimizations, if it is out of date.
 *
 * @returns Whether it could be built; `undefined` if cargo is not installed.
 */
export function buildCrate(directory: string): boolean | undefined {
  const progress = new Progress();
  progress.show("building native code, which may take a minute");
  try {
    return new Deno.Command("cargo", {
      args: [
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--manifest-path",
        `${ROOT}${directory}/Cargo.toml`,
      ],
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  } finally {
    progress.end();
  }
}

/** Builds the library, unless another one is named. Ends the process if there is none. */
export function buildLibrary(): void {
  if (Deno.env.get("BASALT_LIBRARY") !== undefined) return;
  const built = buildCrate("rust");
  if (built === false) Deno.exit(1);
  if (built === true) return;
  try {
    Deno.statSync(`${ROOT}rust/target/release/libbasalt.so`);
  } catch {
    console.error("Cannot build the library: install Rust (cargo) first");
    Deno.exit(1);
  }
}
