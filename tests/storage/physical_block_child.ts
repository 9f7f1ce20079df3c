/**
 * Prints the physical block of a new file and where it comes from: for a process with fewer
 * permissions.
 */
import { DirectFile } from "../../lib/storage/mod.ts";

using file = DirectFile.openSync(Deno.args[0]!, { write: true, create: true });
const { physicalBlock, physicalBlockReason } = file.capabilities;
console.log(JSON.stringify([physicalBlock, physicalBlockReason]));
