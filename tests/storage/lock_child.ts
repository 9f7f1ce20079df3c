/** Prints whether the lock of a directory can be had from another process. */
import { DiskStorage } from "../../lib/storage/mod.ts";

console.log(new DiskStorage().lock(Deno.args[0]!) !== undefined);
