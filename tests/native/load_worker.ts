/** Attaches to a pool by its number; posts where the library came from, and the pool's limit. */
addEventListener("message", async (event) => {
  const { root, id } = (event as MessageEvent).data;
  const { BufferPool, loadLibrary } = await import(`${root}/mod.ts`);
  using pool = BufferPool.attach(id);
  const { origin } = loadLibrary();
  const { limitBytes } = pool.stats();
  (self as unknown as { postMessage(data: unknown): void })
    .postMessage(`${origin} ${limitBytes}`);
});
