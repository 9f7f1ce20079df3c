/** W10: opening a log of 1 GiB whose writer was killed, with its index. */
import { formatBytes } from "../../lib/cli/_terminal.ts";
import type { Context } from "./context.ts";
import { formatMicros } from "./measure.ts";
import type { Opening } from "./programs/crashing_log.ts";
import { runAndKill } from "./programs/run.ts";
import { atMost, median, ownFigure, type Row } from "./row.ts";
import { DATA_BYTES, MIB } from "./sizes.ts";

const PROGRAM = "crashing_log.ts";

/** Measures W10. */
export async function w10(context: Context): Promise<Row[]> {
  const dir = context.path("killed");
  // Less than the limit of a segment, so that it is the last segment.
  const bytes = context.bytes(DATA_BYTES) - 4 * MIB;
  const openings: Opening[] = [];
  for (let pair = 1; pair <= context.pairs; pair++) {
    // Each opening finds what a killed writer left, not what an earlier opening repaired.
    context.show(
      `W10: writing a log and killing its writer, ${pair} of ${context.pairs}`,
    );
    await runAndKill(context, PROGRAM, ["write", dir, String(bytes)]);
    context.show(`W10: opening it, ${pair} of ${context.pairs}`);
    openings.push(await runAndKill<Opening>(context, PROGRAM, ["open", dir]));
    Deno.removeSync(dir, { recursive: true });
  }
  const of = (value: (opening: Opening) => number): number =>
    median(openings.map(value));
  const millis = (ms: number): string => formatMicros(ms * 1e3);
  return [
    ownFigure(
      {
        id: "W10.open",
        name: `opening ${formatBytes(bytes)} after a kill, index there`,
        goal: atMost(2),
        unit: "ratio",
        reference: "reading 32 MiB",
        ours: `${millis(of(({ openMs }) => openMs))}, ${
          formatBytes(of(({ scannedBytes }) => scannedBytes))
        } read by recovery`,
        theirs: millis(of(({ readMs }) => readMs)),
      },
      openings.map(({ openMs, readMs }) => openMs / readMs),
    ),
  ];
}
