/** What flushes each log that is open in this isolate. */
const flushes = new Map<object, () => void>();

/**
 * Flushes a log at the end of the program if it is still open then.
 *
 * The runtime tells of the end (`unload`) when the event loop is empty and on `Deno.exit`, not when
 * a signal, a
 * panic or `Worker.terminate` ends the program.
 *
 * @param flush Writes and syncs what is in memory while the caller waits; throws if it cannot.
 */
export function flushAtExit(log: object, flush: () => void): void {
  if (flushes.size === 0) globalThis.addEventListener("unload", flushAll);
  flushes.set(log, flush);
}

/** Undoes {@linkcode flushAtExit}: the log is closed. */
export function forgetAtExit(log: object): void {
  flushes.delete(log);
  if (flushes.size === 0) globalThis.removeEventListener("unload", flushAll);
}

function flushAll(): void {
  for (const flush of flushes.values()) flush();
}
