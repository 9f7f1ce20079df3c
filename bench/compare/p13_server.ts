/**
 * P13: the latency of a `Deno.serve` beside a log under full load in the same process, compared
 * with the same load through `Deno.FsFile`.
 */
import type { EngineOptions } from "../../mod.ts";
import type { Context } from "./context.ts";
import { Isolate } from "./isolate.ts";
import type { Load } from "./loaded_server.ts";
import { type Measured, P99, THROUGHPUT } from "./measure.ts";
import { runProgram } from "./programs/run.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, median, type Row } from "./row.ts";

/** Requests a second. */
const RATE = 500;

/** Measures P13. */
export async function p13(context: Context): Promise<Row[]> {
  const side = (load: Load, engine: EngineOptions = {}) => (ms: number) =>
    served(context, load, engine, ms);
  const runs = await rounds(context, "P13", 3000, {
    log: side("log"),
    file: side("file"),
    reaper: side("log", { wait: "reaper" }),
    idle: side("none"),
  });
  const rate = (of: Measured[]): string =>
    `at ${THROUGHPUT.format(median(of.map((run) => THROUGHPUT.of(run))))}`;
  const theirs = {
    name: "Deno.FsFile, syncData each 16 MiB",
    runs: runs.file,
  };
  const row = (
    what: { id: string; name: string },
    own: Measured[],
  ): Row => {
    const compared = compareSides(
      { ...what, goal: atMost(1.2), beside: rate(runs.file) },
      P99,
      { name: "Basalt", runs: own },
      theirs,
    );
    return { ...compared, ours: `${compared.ours}; ${rate(own)}` };
  };
  const { goal: _, ...reaper } = row(
    { id: "P13.reaper", name: 'the same with wait: "reaper"' },
    runs.reaper,
  );
  return [
    row(
      { id: "P13.p99", name: "p99 of a server's responses beside a full load" },
      runs.log,
    ),
    reaper,
    compareSides(
      { id: "P13.idle", name: "p99 of a server's responses, beside no load" },
      P99,
      { name: "Basalt", runs: runs.log },
      { name: "no load", runs: runs.idle },
    ),
  ];
}

/**
 * Serves for a time under a load. Latencies are those of the requests, and bytes those of the load.
 */
async function served(
  context: Context,
  load: Load,
  engine: EngineOptions,
  ms: number,
): Promise<Measured> {
  using isolate = new Isolate(engine);
  const path = context.path(`served-${load}`);
  const port = await isolate.run("startServer", load, path);
  const start = performance.now();
  const answers = await runProgram<Measured>(context, "http_load.ts", [
    `http://127.0.0.1:${port}/`,
    String(RATE),
    String(ms),
  ]);
  const seconds = (performance.now() - start) / 1e3;
  const bytes = await isolate.run("stopServer");
  return { ...answers, seconds, bytes };
}
