/** W6: four durable tails beside the producers of W4. */
import type { Context } from "./context.ts";
import { batchLogBytes } from "./logs.ts";
import { CPU_PER_GB, P99 } from "./measure.ts";
import { offeredRate } from "./offered.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, type Row, type Side } from "./row.ts";
import {
  fileStream,
  logStream,
  type OpenStream,
  withStreams,
} from "./streams.ts";
import { BATCH, PAYLOAD_BYTES, work, type Worked } from "./workload.ts";

const PRODUCERS = 4;
const CONSUMERS = 4;
const RUN_MS = 2500;

/** Measures W6. */
export async function w06(context: Context): Promise<Row[]> {
  const bytes = await batchLogBytes(context, BATCH, PAYLOAD_BYTES);
  const bytesPerSecond = await offeredRate(context, bytes);
  const options = { batchLogBytes: bytes, consumers: CONSUMERS };
  const run = (open: OpenStream) => (ms: number): Promise<Worked> =>
    withStreams(
      context,
      1,
      open,
      options,
      (streams) => work(streams, { producers: PRODUCERS, bytesPerSecond, ms }),
    );
  const runs = await rounds(context, "W6", RUN_MS, {
    log: run(logStream),
    file: run(fileStream),
  });
  const side = (name: string, own: readonly Worked[]): Side => ({
    name,
    runs: own.map(({ consumers }) => consumers),
  });
  const ours = side("Basalt, durable tails", runs.log);
  const theirs = side("Deno.FsFile, read as far as it is synced", runs.file);
  return [
    compareSides(
      {
        id: "W6.p99",
        name: "4 durable tails beside W4, p99 from due",
        goal: atMost(0.5),
      },
      P99,
      ours,
      theirs,
    ),
    compareSides(
      {
        id: "W6.cpu",
        name: "the same, CPU of the process by GB produced",
        goal: atMost(0.5),
      },
      CPU_PER_GB,
      ours,
      theirs,
    ),
  ];
}
