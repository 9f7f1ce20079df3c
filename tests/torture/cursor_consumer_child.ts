/**
 * Consumes a log with a cursor until it is killed. Prints `give FROM TO` before it handles each
 * batch, and `done OFFSET` after each commit.
 */
import { LogReader } from "../../lib/log/mod.ts";

const [dir] = Deno.args;
const out = (line: string) =>
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

await using cursor = await new LogReader(dir!).cursor("victim");
out(`open ${cursor.position}`);
for await (using batch of cursor) {
  out(`give ${batch.firstOffset} ${batch.nextOffset}`);
  await cursor.commit(batch.nextOffset);
  out(`done ${batch.nextOffset}`);
}
