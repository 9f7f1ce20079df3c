/** Asks for the size of an open file and whether it has a name, for a trace of the system calls. */
import { DirectFile } from "../../lib/storage/mod.ts";

const [path] = Deno.args as [string];
using file = DirectFile.openSync(path, { write: true, create: true });
for (let i = 0; i < 5; i++) {
  file.sizeSync();
  await file.size();
  file.isNamed();
}
console.log(file.statSync().mtimeMicros);
