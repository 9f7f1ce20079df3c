/**
 * Loads the library of the package in the first argument, as the second one says. Prints the result
 * of each attempt.
 */
const [root, json] = Deno.args;
const { paths, build, worker, race } = JSON.parse(json!);
if (build) {
  Object.defineProperty(Deno, "build", { value: { ...Deno.build, ...build } });
}
const { BufferPool, loadLibrary } = await import(`${root}/mod.ts`);

const outcomes: Record<string, unknown>[] = [];
for (const path of paths) {
  try {
    const loaded = loadLibrary(path === null ? {} : { path });
    outcomes.push({ ...loaded });
  } catch (thrown) {
    const error = thrown as Error & Record<string, unknown>;
    const { message, found, needed, tried } = error;
    outcomes.push({
      error: error.constructor.name,
      message,
      found,
      needed,
      tried,
    });
  }
}
/** Asks a worker about its pool. */
function ask(question: Record<string, unknown>): Promise<unknown> {
  const other = new Worker(new URL("load_worker.ts", import.meta.url), {
    type: "module",
  });
  other.postMessage({ root, ...question });
  return new Promise((resolve, reject) => {
    other.onmessage = ({ data }) => resolve(data);
    other.onerror = ({ message }) => reject(new Error(message));
  });
}

// A pool is shared by its number, so all isolates must use one library.
if (worker) {
  using pool = new BufferPool({ limitBytes: 4096 });
  outcomes.at(-1)!.worker = await ask({ id: pool.id });
}
if (race) {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const asked = Array.from(
    { length: race },
    () => ask({ gate, count: race }),
  );
  outcomes.push({ raced: await Promise.all(asked) });
}
console.log(JSON.stringify(outcomes));
// Pools are still open, and workers run.
Deno.exit();
