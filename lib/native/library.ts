import { environment } from "./environment.ts";
import { abiNumber, type NativeFunctions, SYMBOLS } from "./symbols.ts";
import { Unsupported } from "./unsupported.ts";

const BUILD = "cargo build --release --manifest-path rust/Cargo.toml";

let functions: NativeFunctions | undefined;

/** The library's functions, loaded at the first call and kept for the life of the process: closing a library that a thread still runs crashes. */
export function native(): NativeFunctions {
  return functions ??= load();
}

function load(): NativeFunctions {
  const { os, arch } = Deno.build;
  if (
    os !== "linux" || Deno.build.env !== "gnu" && Deno.build.env !== undefined
  ) {
    throw new Unsupported("Cannot load Basalt's library", {
      found: Deno.build.target,
      needed: "Linux with glibc on x86_64 or aarch64",
    });
  }
  const tried: string[] = [];
  for (const file of places()) {
    let library: Deno.DynamicLibrary<typeof SYMBOLS>;
    try {
      library = Deno.dlopen(file, SYMBOLS);
    } catch (error) {
      // A refused permission is the user's to settle, not a reason to look elsewhere.
      if (error instanceof Deno.errors.NotCapable) throw error;
      tried.push(`${file} (${(error as Error).message})`);
      continue;
    }
    const abi = library.symbols.basalt_abi();
    if (abi !== abiNumber()) {
      library.close();
      throw new Unsupported(`Cannot use the library ${file}`, {
        found: `its ABI number ${abi}`,
        needed: `${abiNumber()}: build it from the same version (${BUILD})`,
      });
    }
    return library.symbols;
  }
  throw new Unsupported("Cannot load Basalt's library", {
    found: `none for ${os} ${arch} (tried ${tried.join("; ")})`,
    needed: `a path in BASALT_LIBRARY, or a build beside the module (${BUILD})`,
  });
}

/** Where the library may be: the path in `BASALT_LIBRARY`, and only that if it is set; else the build beside the module. */
function places(): (string | URL)[] {
  const named = environment("BASALT_LIBRARY");
  if (named !== undefined) return [named];
  if (!import.meta.url.startsWith("file:")) return [];
  return [new URL("../../rust/target/release/libbasalt.so", import.meta.url)];
}
