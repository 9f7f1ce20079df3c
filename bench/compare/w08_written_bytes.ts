/** W8: the bytes that reach the device, divided by the bytes of the log. */
import type { Context } from "./context.ts";
import { batchLogBytes } from "./logs.ts";
import type { WrittenBytes } from "./programs/written_bytes.ts";
import { runProgram } from "./programs/run.ts";
import { atMost, type Goal, median, ownFigure, type Row } from "./row.ts";
import { BATCH, PAYLOAD_BYTES } from "./workload.ts";

/** Long enough that the space that closing cuts off is a small share. */
const RUN_MS = 2000;
const BLOCK_BYTES = 4096;

/** Measures W8. */
export async function w08(context: Context): Promise<Row[]> {
  const batchBytes = await batchLogBytes(context, BATCH, PAYLOAD_BYTES);
  const ms = String(context.ms(RUN_MS));
  const batches: WrittenBytes[] = [];
  const lone: WrittenBytes[] = [];
  for (let pair = 1; pair <= context.pairs; pair++) {
    context.show(`W8: bytes written, ${pair} of ${context.pairs}`);
    const dir = context.path("written");
    const run = (...args: string[]): Promise<WrittenBytes> =>
      runProgram<WrittenBytes>(context, "written_bytes.ts", [dir, ms, ...args]);
    batches.push(await run("batches", String(batchBytes)));
    Deno.removeSync(dir, { recursive: true });
    lone.push(await run("lone"));
    Deno.removeSync(dir, { recursive: true });
  }
  // Zeros that a log writes count as its bytes. Zeros that the device writes by itself do not.
  const zeros = lone.some(({ preparedBytes, physicalBlock }) =>
    preparedBytes > 0 && physicalBlock === BLOCK_BYTES
  );
  return [
    row("batches", "8 producers, as W5", atMost(1.05), batches),
    row(
      "lone",
      `durable appends of 4 KiB, ${zeros ? "zeros" : "no zeros"} ahead`,
      atMost(zeros ? 3.1 : 2.2),
      lone,
    ),
  ];
}

function row(
  id: string,
  name: string,
  goal: Goal,
  runs: readonly WrittenBytes[],
): Row {
  const megabytes = (of: (run: WrittenBytes) => number): string =>
    `${(median(runs.map(of)) / 1e6).toPrecision(3)} MB`;
  return ownFigure(
    {
      id: `W8.${id}`,
      name: `bytes written by log bytes: ${name}`,
      goal,
      unit: "ratio",
      reference: "bytes of log",
      ours: megabytes(({ writtenBytes }) => writtenBytes),
      theirs: megabytes(({ logBytes }) => logBytes),
    },
    runs.map(({ writtenBytes, logBytes }) => writtenBytes / logBytes),
  );
}
