/** Prints whether another process can take the lock of a directory. */
import { DiskStorage } from "../../lib/storage/mod.ts";

console.log(new DiskStorage().lock(Deno.args[0]!) !== undefined);
