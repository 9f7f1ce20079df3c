import { beginIsolate } from "./isolate.ts";
import { abiNumber, type NativeFunctions, SYMBOLS } from "./symbols.ts";

/** A library that was opened, or why a file cannot be used as one. */
export type Opened =
  | { readonly functions: NativeFunctions }
  | {
    /** Whether there is no such file. */
    readonly absent: boolean;
    /** What is wrong with it, in words. */
    readonly reason: string;
  };

const ABI = {
  basalt_abi: { parameters: [], result: "i32", optional: true },
} as const satisfies Deno.ForeignLibraryInterface;

/** Opens a file, or what the loader finds by a name, as this version's library. */
export function openLibrary(file: string): Opened {
  let opened: Deno.DynamicLibrary<typeof SYMBOLS>;
  try {
    opened = Deno.dlopen(file, SYMBOLS);
  } catch (error) {
    // The user decides about a refused permission; it is no reason to try another file.
    if (error instanceof Deno.errors.NotCapable) throw error;
    return diagnose(file, error as Error);
  }
  const abi = opened.symbols.basalt_abi();
  if (abi === abiNumber()) {
    beginIsolate(opened.symbols);
    return { functions: opened.symbols };
  }
  opened.close();
  return { absent: false, reason: otherVersion(abi) };
}

/** Finds what is wrong with a file that did not load with all symbols, by its first export. */
function diagnose(file: string, error: Error): Opened {
  let abi: number | undefined;
  try {
    const library = Deno.dlopen(file, ABI);
    abi = library.symbols.basalt_abi?.();
    library.close();
  } catch {
    const text = error.message.replace(/^(Could not open library: )+/, "");
    const absent = text.includes(
      `${file}: cannot open shared object file: No such file`,
    );
    return {
      absent,
      reason: absent ? "no such file" : `the loader refuses it: ${text}`,
    };
  }
  if (abi === undefined) {
    return {
      absent: false,
      reason: "it is not Basalt's library: it does not export basalt_abi",
    };
  }
  const reason = abi === abiNumber()
    ? `it is incomplete: ${error.message}`
    : otherVersion(abi);
  return { absent: false, reason };
}

function otherVersion(abi: number): string {
  return `it is of another version: its ABI number is ${abi}, not ${abiNumber()}`;
}
