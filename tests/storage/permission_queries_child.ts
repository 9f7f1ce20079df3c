/**
 * Opens many files of the directory that it is given. Prints the paths at or above it for which the
 * runtime was queried.
 */
import { DirectFile } from "../../lib/storage/mod.ts";

const [dir] = Deno.args;
const asked = new Set<string>();
const query = Deno.permissions.querySync.bind(Deno.permissions);
Deno.permissions.querySync = (descriptor) => {
  asked.add(String((descriptor as { path?: string }).path));
  return query(descriptor);
};
for (let i = 0; i < 50; i++) {
  const path = `${dir}/${i}`;
  DirectFile.openSync(path, { write: true, createNew: true }).closeSync();
  DirectFile.openSync(path).closeSync();
}
console.log(
  JSON.stringify([...asked].filter((path) => !path.startsWith("/sys"))),
);
