/**
 * What a lease costs in JavaScript, beside memory of V8. Run with `deno bench -A
 * bench/pool_bench.ts`.
 */
import { BufferPool } from "../lib/pool/mod.ts";

const pool = new BufferPool();

for (const [name, length] of [["4 KiB", 4096], ["1 MiB", 1024 ** 2]] as const) {
  // The first access to memory is the kernel's work, not the pool's.
  const warm = Array.from({ length: 4 }, () => pool.acquireSync(length));
  for (const buffer of warm) buffer.bytes.fill(1);
  for (const buffer of warm) buffer.drop();

  Deno.bench({
    name: `new Uint8Array, ${name}`,
    group: name,
    baseline: true,
    fn: () => void new Uint8Array(length),
  });
  Deno.bench({
    name: `acquireSync, drop, ${name}`,
    group: name,
    fn: () => pool.acquireSync(length).drop(),
  });
  Deno.bench({
    name: `acquireSync, bytes, drop, ${name}`,
    group: name,
    fn() {
      const buffer = pool.acquireSync(length);
      buffer.bytes[0] = 1;
      buffer.drop();
    },
  });
  Deno.bench({
    name: `acquireSync, view, drop, ${name}`,
    group: name,
    fn() {
      const buffer = pool.acquireSync(length);
      buffer.view.setUint32(0, 1, true);
      buffer.drop();
    },
  });
  Deno.bench({
    name: `acquireSync, lend, end, drop, ${name}`,
    group: name,
    fn() {
      const buffer = pool.acquireSync(length);
      pool.lend(buffer).end();
      buffer.drop();
    },
  });
  Deno.bench({
    name: `acquireSync, freeze, drop, ${name}`,
    group: name,
    fn: () => pool.acquireSync(length).freeze().drop(),
  });
  Deno.bench({
    name: `acquireSync, splitTo, drop both, ${name}`,
    group: name,
    fn() {
      const rest = pool.acquireSync(length);
      rest.splitTo(length / 2).drop();
      rest.drop();
    },
  });
}
