/**
 * P14: from the start of a program to the first byte that it read, including loading the library,
 * beside an empty program.
 */
import type { Context } from "./context.ts";
import { programArguments } from "./programs/run.ts";
import { atMost, median, ownFigure, type Row } from "./row.ts";
import { DATA_BYTES } from "./sizes.ts";

/** Number of starts of each program for one value. */
const STARTS = 7;

/** Measures P14. */
export async function p14(context: Context): Promise<Row[]> {
  const path = await context.file("data", DATA_BYTES);
  const startMs = async (name: string, args: string[]): Promise<number> => {
    const start = performance.now();
    await context.run(Deno.execPath(), programArguments(name, args));
    return performance.now() - start;
  };
  const added: number[] = [];
  const empties: number[] = [];
  const readers: number[] = [];
  // The first start of each compiles code, which Deno keeps.
  await startMs("empty.ts", []);
  await startMs("first_byte.ts", [path]);
  for (let pair = 1; pair <= context.pairs; pair++) {
    const [empty, reader]: [number[], number[]] = [[], []];
    for (let i = 0; i < STARTS; i++) {
      context.show(`P14: starting programs, ${pair} of ${context.pairs}`);
      reader.push(await startMs("first_byte.ts", [path]));
      empty.push(await startMs("empty.ts", []));
    }
    added.push(median(reader) - median(empty));
    empties.push(median(empty));
    readers.push(median(reader));
  }
  return [ownFigure(
    {
      id: "P14.start",
      name: "program start to first byte read, more than an empty program",
      goal: atMost(30),
      unit: "ms",
      reference: "an empty program",
      ours: `${median(readers).toFixed(0)} ms in all`,
      theirs: `${median(empties).toFixed(0)} ms`,
    },
    added,
  )];
}
