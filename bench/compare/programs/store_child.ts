/**
 * Keeps a store open and repeats puts on request. Arguments: `STORE DIR`. It prints {@linkcode
 * Introduction}, then reads a {@linkcode Repetition} from each line of its input, and prints the
 * measurements.
 */
import { repeated, type Repetition } from "../durable.ts";
import { openStore, type StoreName } from "../references/store.ts";

/** The first line that is printed. */
export interface Introduction {
  readonly name: string;
  readonly settings: string;
}

const [name, dir] = Deno.args;
await using store = await openStore(name as StoreName, dir!);
const introduction: Introduction = {
  name: store.name,
  settings: store.settings,
};
console.log(JSON.stringify(introduction));

let text = "";
for await (
  const part of Deno.stdin.readable.pipeThrough(new TextDecoderStream())
) {
  text += part;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
    const repetition = JSON.parse(text.slice(0, end)) as Repetition;
    text = text.slice(end + 1);
    const payload = new Uint8Array(repetition.bytes).fill(0x5a);
    const run = await repeated(repetition, () => store.put(payload));
    console.log(JSON.stringify(run));
  }
}
