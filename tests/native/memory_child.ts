/**
 * Limits the addresses of this process to those it has (`RLIMIT_AS`), and allocates memory. Prints
 * the results.
 */
import { BufferPool } from "../../mod.ts";
import { limit } from "./_address_limit.ts";

const pool = new BufferPool({ limitBytes: 1 << 30 });
pool.acquireSync(4096).drop();
const errors: unknown[] = [];
limit(32 << 20);
for (const bytes of [64 << 20, 256 << 20, 512 << 20]) {
  try {
    pool.acquireSync(bytes);
  } catch (error) {
    errors.push({ ...error as object, name: (error as Error).name });
  }
  await pool.acquire(bytes).then(
    () => {},
    (error) => errors.push({ ...error, name: error.name }),
  );
}
const { mappedBytes, inUseBytes } = pool.stats();
limit();
const after = pool.acquireSync(256 << 20);
after.bytes[0] = 1;
after.drop();
pool.close();
console.log(JSON.stringify({ errors, mappedBytes, inUseBytes }));
