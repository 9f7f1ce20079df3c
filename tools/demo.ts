/** `deno task demo [FILE]`: builds the library where it must, then runs the demonstration. */
import { ROOT } from "./run.ts";

const LIBRARY = `${ROOT}rust/target/release/libbasalt.so`;

/** Builds if cargo is there: it knows best what is out of date. */
function build(): void {
  if (Deno.env.get("BASALT_LIBRARY") !== undefined) return;
  try {
    const { success } = new Deno.Command("cargo", {
      args: [
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        `${ROOT}rust/Cargo.toml`,
      ],
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).outputSync();
    if (!success) Deno.exit(1);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    try {
      Deno.statSync(LIBRARY);
    } catch {
      console.error("Cannot build the library: install Rust (cargo) first");
      Deno.exit(1);
    }
  }
}

build();
const { demo } = await import("../lib/cli/demo.ts");
Deno.exit(await demo(Deno.args, ROOT));
