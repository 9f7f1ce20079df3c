import { onAbort } from "../base/mod.ts";

/** Resolves as the promise does, or rejects with the signal's reason when it is aborted first. */
export async function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  // A rejection after the abort is not reported.
  promise.catch(() => {});
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const end = onAbort(signal, () => reject(signal.reason));
  return await Promise.race([promise, aborted]).finally(end);
}
