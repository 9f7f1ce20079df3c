/**
 * A worker loads the library first, makes a pool, and is terminated. Then this thread loads the
 * library and uses that pool.
 */
const source = `
  const { BufferPool } = await import(${
  JSON.stringify(new URL("../../lib/pool/mod.ts", import.meta.url).href)
});
  const pool = new BufferPool({ limitBytes: 65536 });
  pool.acquireSync(65536).bytes.fill(1);
  self.postMessage(pool.id);
`;

async function loadAndEnd(): Promise<void> {
  const worker = new Worker(
    `data:application/javascript,${encodeURIComponent(source)}`,
    { type: "module" },
  );
  await new Promise((resolve) => worker.onmessage = resolve);
  worker.terminate();
  await new Promise((resolve) => setTimeout(resolve, 200));
}

await loadAndEnd();
const { BufferPool } = await import("../../lib/pool/mod.ts");
using pool = new BufferPool();
using buffer = pool.acquireSync(1024 ** 2);
buffer.bytes.fill(7);
await loadAndEnd();
console.log("alive", buffer.bytes[1024 ** 2 - 1]);
