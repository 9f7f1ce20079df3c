/**
 * Attaches to a pool by its number, or makes one. Posts the origin of the library, and the pool's
 * limit and number.
 */
addEventListener("message", async (event) => {
  const { root, id, gate, count } = (event as MessageEvent).data;
  const { BufferPool, loadLibrary } = await import(`${root}/mod.ts`);
  // Racing workers start together.
  if (gate !== undefined) {
    Atomics.add(gate, 0, 1);
    while (Atomics.load(gate, 0) < count);
  }
  const pool = id === undefined
    ? new BufferPool({ limitBytes: 8192 })
    : BufferPool.attach(id);
  const { origin } = loadLibrary();
  const { limitBytes } = pool.stats();
  (self as unknown as { postMessage(data: unknown): void })
    .postMessage({ origin, limitBytes, id: pool.id });
});
