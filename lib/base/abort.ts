/** One listener of a signal, and the callbacks that it serves. */
interface Shared {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

const sharedBySignal = new WeakMap<AbortSignal, Shared>();

/**
 * Calls a function when a signal is aborted, which it is not yet.
 *
 * All callbacks of a signal share one listener. The runtime searches the listeners of a signal to
 * add or to remove one, so a listener for each of `n` waiters would cost `n * n` steps.
 *
 * @param callback A separate function for each call.
 * @returns A function that removes the callback.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let shared = sharedBySignal.get(signal);
  if (shared === undefined) {
    const callbacks = new Set<() => void>();
    const listener = (): void => {
      sharedBySignal.delete(signal);
      for (const each of callbacks) each();
    };
    shared = { callbacks, listener };
    sharedBySignal.set(signal, shared);
    signal.addEventListener("abort", listener, { once: true });
  }
  const { callbacks, listener } = shared;
  callbacks.add(callback);
  return () => {
    if (!callbacks.delete(callback) || callbacks.size > 0) return;
    // A remaining listener would keep the timer of `AbortSignal.timeout` alive.
    sharedBySignal.delete(signal);
    signal.removeEventListener("abort", listener);
  };
}

/** Resolves after some time, or as soon as a signal is aborted. */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const end = signal && onAbort(signal, resolve);
  await promise;
  clearTimeout(timer);
  end?.();
}

/** Resolves as the promise does, or rejects with the signal's reason if it is aborted first. */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return promise;
  // A rejection after the abort is not reported.
  promise.catch(() => {});
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const unlisten = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(unlisten);
  });
}
