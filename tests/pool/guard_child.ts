/**
 * Reads a block, after its release if the argument is `freed`. It bypasses the pool, as only a
 * defect could.
 */
import { native, nativeBuffer } from "../../lib/native/mod.ts";

const library = native();
const pool = library.basalt_pool_open(1, 2 ** 20, 8);
const address = new Uint32Array(2);
library.basalt_pool_lease_address(address);
library.basalt_pool_acquire(pool, 4096, 0);
const [slot, generation, capacity, , low, high] = new Uint32Array(
  nativeBuffer([address[0]!, address[1]!], 0, 32),
);
const view = new Uint8Array(nativeBuffer([low!, high!], 0, capacity!));
view.fill(1);
if (Deno.args[0] === "freed") {
  library.basalt_pool_release(pool, slot!, generation!);
}
console.log("touching");
console.log(`read ${view[0]}`);
