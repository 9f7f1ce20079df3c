/**
 * Prints the physical block of a new file and its source. It runs in a process with fewer
 * permissions.
 */
import { DirectFile } from "../../lib/storage/mod.ts";

using file = DirectFile.openSync(Deno.args[0]!, { write: true, create: true });
const { physicalBlock, physicalBlockReason } = file.capabilities;
console.log(JSON.stringify([physicalBlock, physicalBlockReason]));
