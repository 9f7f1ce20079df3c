/** W4: four producers at 70% of what a file sustains, each batch awaited until it is durable. */
import type { Context } from "./context.ts";
import { batchLogBytes } from "./logs.ts";
import { P99 } from "./measure.ts";
import { offeredRate } from "./offered.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, type Row } from "./row.ts";
import {
  fileStream,
  logStream,
  type OpenStream,
  withStreams,
} from "./streams.ts";
import { BATCH, PAYLOAD_BYTES, work, type Worked } from "./workload.ts";

const PRODUCERS = 4;
const RUN_MS = 2500;

/** Measures W4. */
export async function w04(context: Context): Promise<Row[]> {
  const bytes = await batchLogBytes(context, BATCH, PAYLOAD_BYTES);
  const bytesPerSecond = await offeredRate(context, bytes);
  const run =
    (streams: number, open: OpenStream) => (ms: number): Promise<Worked> =>
      withStreams(
        context,
        streams,
        open,
        { batchLogBytes: bytes },
        (opened) => work(opened, { producers: PRODUCERS, bytesPerSecond, ms }),
      );
  const runs = await rounds(context, "W4", RUN_MS, {
    log: run(1, logStream),
    file: run(1, fileStream),
    logs: run(PRODUCERS, logStream),
    files: run(PRODUCERS, fileStream),
  });
  return [
    compareSides(
      {
        id: "W4.p99",
        name: "4 producers of one log at the offered rate, p99 from due",
        goal: atMost(1),
      },
      P99,
      { name: "Basalt", runs: runs.log },
      { name: "Deno.FsFile, one file, syncs shared", runs: runs.file },
    ),
    compareSides(
      {
        id: "W4.logs",
        name: "4 producers, a log each, at the offered rate, p99 from due",
        goal: atMost(1),
      },
      P99,
      { name: "Basalt", runs: runs.logs },
      { name: "Deno.FsFile, a file each", runs: runs.files },
    ),
  ];
}
