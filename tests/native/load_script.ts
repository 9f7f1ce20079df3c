/** Loads the library of the package in the first argument as the second says; prints the outcome of each attempt. */
const [root, json] = Deno.args;
const { paths, build, worker } = JSON.parse(json!);
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
if (worker) {
  // A pool is shared by its number: only where both use one library does the worker find it.
  using pool = new BufferPool({ limitBytes: 4096 });
  const other = new Worker(new URL("load_worker.ts", import.meta.url), {
    type: "module",
  });
  other.postMessage({ root, id: pool.id });
  outcomes.at(-1)!.worker = await new Promise((resolve, reject) => {
    other.onmessage = ({ data }) => resolve(data);
    other.onerror = ({ message }) => reject(new Error(message));
  });
  other.terminate();
}
console.log(JSON.stringify(outcomes));
