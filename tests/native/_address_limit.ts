/**
 * Sets the limit of this process for its addresses (`RLIMIT_AS`), beyond which memory is refused.
 */
const RLIMIT_AS = 9;
const libc = Deno.dlopen("libc.so.6", {
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
});
const old = new BigUint64Array(2);
libc.symbols.getrlimit(RLIMIT_AS, old);
/**
 * Allows the process this many bytes more than it has now. Without a number, restores the old
 * limit.
 */
export function limit(more?: number): void {
  const pages = Number(Deno.readTextFileSync("/proc/self/statm").split(" ")[0]);
  const bytes = more === undefined ? old[0]! : BigInt(pages * 4096 + more);
  const limits = new BigUint64Array([bytes, old[1]!]);
  if (libc.symbols.setrlimit(RLIMIT_AS, limits) !== 0) {
    throw new Error("setrlimit failed");
  }
}
