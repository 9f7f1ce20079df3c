/** W5: eight producers without a limit, each batch awaited until it is durable. */
import type { Context } from "./context.ts";
import { batchLogBytes } from "./logs.ts";
import { type Measured, THROUGHPUT } from "./measure.ts";
import { rounds } from "./rounds.ts";
import { atLeast, compareSides, type Row } from "./row.ts";
import {
  fileStream,
  logStream,
  type OpenStream,
  withStreams,
} from "./streams.ts";
import { BATCH, PAYLOAD_BYTES, PRODUCERS, workUnlimited } from "./workload.ts";

const RUN_MS = 1500;

/** Measures W5. */
export async function w05(context: Context): Promise<Row[]> {
  const bytes = await batchLogBytes(context, BATCH, PAYLOAD_BYTES);
  const run =
    (streams: number, open: OpenStream) => (ms: number): Promise<Measured> =>
      withStreams(
        context,
        streams,
        open,
        { batchLogBytes: bytes },
        (opened) => workUnlimited(opened, PRODUCERS, ms),
      );
  const runs = await rounds(context, "W5", RUN_MS, {
    log: run(1, logStream),
    file: run(1, fileStream),
    logs: run(PRODUCERS, logStream),
    files: run(PRODUCERS, fileStream),
  });
  return [
    compareSides(
      {
        id: "W5.log",
        name: "8 producers of one log without a limit, log bytes",
        goal: atLeast(0.95),
      },
      THROUGHPUT,
      { name: "Basalt", runs: runs.log },
      { name: "Deno.FsFile, one file, syncs shared", runs: runs.file },
    ),
    compareSides(
      {
        id: "W5.logs",
        name: "8 producers, a log each, without a limit, log bytes",
        goal: atLeast(0.95),
      },
      THROUGHPUT,
      { name: "Basalt", runs: runs.logs },
      { name: "Deno.FsFile, a file each", runs: runs.files },
    ),
  ];
}
