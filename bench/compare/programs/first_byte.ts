/** Reads the first byte of a file: `FILE`. */
import { DirectFile } from "../../../mod.ts";

using file = DirectFile.openSync(Deno.args[0]!);
using part = file.readAtSync(0, 1);
if (part.length !== 1) throw new Error("Cannot read a byte");
