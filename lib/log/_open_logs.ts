/** The flush function of each open log and cursor of this isolate. */
const flushes = new Map<object, () => void>();

/**
 * Flushes a log or a cursor that is still open at the end of the program.
 *
 * The runtime fires `unload` when the event loop is empty and on `Deno.exit`, but not when a
 * signal, a panic or `Worker.terminate` ends the program.
 *
 * @param flush Writes and syncs what is in memory, blocking.
 */
export function flushAtExit(log: object, flush: () => void): void {
  if (flushes.size === 0) globalThis.addEventListener("unload", flushAll);
  flushes.set(log, flush);
}

/** Undoes {@linkcode flushAtExit} for a closed log. */
export function forgetAtExit(log: object): void {
  flushes.delete(log);
  if (flushes.size === 0) globalThis.removeEventListener("unload", flushAll);
}

function flushAll(): void {
  for (const flush of flushes.values()) flush();
}
