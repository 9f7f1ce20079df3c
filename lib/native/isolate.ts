import { checked } from "./errors.ts";
import type { NativeFunctions } from "./symbols.ts";

/** Names the random number of this isolate, which all copies of this module in it share. */
const ISOLATE = Symbol.for("basalt.isolate");

/** Called before the isolate ends. */
const endings: (() => void)[] = [];

/**
 * Tells the library which isolate uses it on this thread.
 *
 * An isolate may end while its thread lives on, and another one may begin there. What an isolate
 * left, its operations, locks, files and memory, ends at the latest when the next one of its thread
 * begins (`deno run --watch`). Where the runtime tells of the end and goes on, it ends then: so do
 * the files of one `deno test`, which run on several threads.
 */
export function beginIsolate(functions: NativeFunctions): void {
  const globals = globalThis as { [ISOLATE]?: Uint32Array };
  const id = globals[ISOLATE] ??= crypto.getRandomValues(new Uint32Array(2));
  checked(functions.basalt_isolate_begin(id[0]!, id[1]!), "isolate_begin");
  // A turn later all listeners have run, such as those that flush and close logs.
  const end = () => setImmediate(() => endIsolate(functions));
  globalThis.addEventListener("unload", end, { once: true });
}

/** Runs a function before the isolate ends, once, where the runtime tells of the end. */
export function beforeIsolateEnds(run: () => void): void {
  endings.push(run);
}

function endIsolate(functions: NativeFunctions): void {
  for (const run of endings.splice(0)) run();
  functions.basalt_isolate_begin(0, 0);
}
