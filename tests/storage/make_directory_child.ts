/** Makes a directory with its parents, for a trace of what is synced. */
import { DiskStorage } from "../../lib/storage/mod.ts";

console.log(new DiskStorage().makeDirectorySync(Deno.args[0]!));
