import { checked } from "./errors.ts";
import type { NativeFunctions } from "./symbols.ts";

/** Key of the random number of this isolate, which all copies of this module in it share. */
const ISOLATE = Symbol.for("basalt.isolate");

/** Called before the isolate ends. */
const endings: (() => void)[] = [];

/**
 * Tells the library which isolate uses it on this thread.
 *
 * An isolate may end while its thread lives on, and another one may begin there
 * (`deno run --watch`). The operations, locks and files of an isolate end with its `unload` event,
 * as after each file of a `deno test`, and at the latest when the next isolate of its thread begins.
 * Its memory ends then, because its code may write to it for some turns after `unload`.
 */
export function beginIsolate(functions: NativeFunctions): void {
  const globals = globalThis as { [ISOLATE]?: Uint32Array };
  const id = globals[ISOLATE] ??= crypto.getRandomValues(new Uint32Array(2));
  checked(functions.basalt_isolate_begin(id[0]!, id[1]!), "isolate_begin");
  // One turn later, after all listeners, such as those that flush and close logs.
  const end = () => setImmediate(() => endIsolate(functions));
  globalThis.addEventListener("unload", end, { once: true });
}

/** Runs a function once before the isolate ends, where the runtime has an `unload` event. */
export function beforeIsolateEnds(run: () => void): void {
  endings.push(run);
}

function endIsolate(functions: NativeFunctions): void {
  for (const run of endings.splice(0)) run();
  functions.basalt_isolate_begin(0, 0);
}
