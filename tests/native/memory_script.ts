/** Refuses this process more addresses than it has (`RLIMIT_AS`), and asks for memory; prints what came of it. */
import { BufferPool } from "../../mod.ts";

const RLIMIT_AS = 9;
const libc = Deno.dlopen("libc.so.6", {
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
});
const old = new BigUint64Array(2);
libc.symbols.getrlimit(RLIMIT_AS, old);
/** Lets the process have so many bytes more than it has now; without a number, as many as before. */
function limit(more?: number): void {
  const pages = Number(Deno.readTextFileSync("/proc/self/statm").split(" ")[0]);
  const bytes = more === undefined ? old[0]! : BigInt(pages * 4096 + more);
  const limits = new BigUint64Array([bytes, old[1]!]);
  if (libc.symbols.setrlimit(RLIMIT_AS, limits) !== 0) {
    throw new Error("setrlimit failed");
  }
}

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
