/** W7: ingest, with every line of a text as a message. */
import type { Context } from "./context.ts";
import { ingest, type IngestRun } from "./ingest_run.ts";
import { type Measured, THROUGHPUT } from "./measure.ts";
import { atLeast, compareSides, type Row } from "./row.ts";
import { MIB } from "./sizes.ts";

const INPUT_BYTES = 64 * MIB;
/** Lengths of the lines including their ends: 35 bytes on average. */
const SHORTEST = 20;
const LONGEST = 50;

/** Measures W7. */
export async function w07(context: Context): Promise<Row[]> {
  const input = writeLines(context, context.bytes(INPUT_BYTES));
  const runs: IngestRun[] = [];
  for (let pair = 0; pair <= context.pairs; pair++) {
    const what = pair === 0 ? "warm-up" : `${pair} of ${context.pairs}`;
    const dir = context.path("ingest");
    Deno.mkdirSync(dir);
    // It writes the log, reads it back, and writes a file with the same number of bytes and syncs.
    const run = await ingest(
      input,
      dir,
      (text) => context.show(`W7: ${what}, ${text}`),
    );
    Deno.removeSync(dir, { recursive: true });
    if (pair > 0) runs.push(run);
  }
  Deno.removeSync(input);
  const moved = ({ basalt }: IngestRun, seconds: number): Measured => ({
    seconds,
    operations: basalt.messages,
    bytes: basalt.logBytes,
  });
  return [
    compareSides(
      {
        id: "W7.ingest",
        name: "ingest, lines of 35 B, log bytes",
        goal: atLeast(0.9),
      },
      THROUGHPUT,
      {
        name: "Basalt",
        runs: runs.map((run) => moved(run, run.basalt.seconds)),
      },
      {
        name: "Deno.FsFile, as many ready bytes and syncs",
        runs: runs.map((run) => moved(run, run.file.seconds)),
      },
    ),
  ];
}

/** Writes a text. The same size gives the same text. */
function writeLines(context: Context, bytes: number): string {
  const path = context.path("lines");
  const lengths = LONGEST - SHORTEST + 1;
  let block = "";
  for (let line = 0; block.length < MIB; line++) {
    // A step without a common divisor with the count takes every length in turn.
    const length = SHORTEST + line * 7 % lengths;
    block += `${line} `.padEnd(length - 1, "some text of a line ") + "\n";
  }
  const encoded = new TextEncoder().encode(block);
  using file = Deno.openSync(path, { write: true, createNew: true });
  for (let size = 0; size < bytes; size += encoded.length) {
    for (let at = 0; at < encoded.length;) {
      at += file.writeSync(encoded.subarray(at));
    }
  }
  return path;
}
