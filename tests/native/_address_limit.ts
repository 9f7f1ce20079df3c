/** The limit of this process for its addresses (`RLIMIT_AS`): memory beyond it is refused. */
const RLIMIT_AS = 9;
const libc = Deno.dlopen("libc.so.6", {
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
});
const old = new BigUint64Array(2);
libc.symbols.getrlimit(RLIMIT_AS, old);
/**
 * Lets the process have so many bytes more than it has now; without a number, as many as before.
 */
export function limit(more?: number): void {
  const pages = Number(Deno.readTextFileSync("/proc/self/statm").split(" ")[0]);
  const bytes = more === undefined ? old[0]! : BigInt(pages * 4096 + more);
  const limits = new BigUint64Array([bytes, old[1]!]);
  if (libc.symbols.setrlimit(RLIMIT_AS, limits) !== 0) {
    throw new Error("setrlimit failed");
  }
}
