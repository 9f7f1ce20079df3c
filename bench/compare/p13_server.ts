/** P13: how fast a `Deno.serve` answers while a log in the same process takes all that it can, beside the same load through `Deno.FsFile`. */
import { BufferPool, Log } from "../../mod.ts";
import type { Context } from "./context.ts";
import { appendWhenReady } from "./logs.ts";
import { type Measured, P99, THROUGHPUT } from "./measure.ts";
import { runProgram } from "./programs/run.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, median, type Row } from "./row.ts";
import { MIB } from "./sizes.ts";

/** Requests a second. */
const RATE = 500;
const BATCH = 1000;
const PAYLOAD_BYTES = 1000;
const MESSAGE_BYTES = 64 + PAYLOAD_BYTES;
/** A log leaves no more than this unsynced; nor does the file. */
const SYNC_BYTES = 16 * MIB;
/** Both go over the same space again. */
const FILE_BYTES = 256 * MIB;

/** Measures P13. */
export async function p13(context: Context): Promise<Row[]> {
  using pool = new BufferPool();
  const runs = await rounds(context, "P13", 3000, {
    log: (ms) =>
      served(context, ms, (signal) => loadLog(context, pool, signal)),
    file: (ms) => served(context, ms, (signal) => loadFile(context, signal)),
    idle: (ms) => served(context, ms, idle),
  });
  const rate = (of: Measured[]): string =>
    THROUGHPUT.format(median(of.map((run) => THROUGHPUT.of(run))));
  const row = compareSides(
    {
      id: "P13.p99",
      name: "p99 of a server's answers beside a full load",
      goal: atMost(1.2),
      beside: `at ${rate(runs.file)}`,
    },
    P99,
    { name: "Basalt", runs: runs.log },
    { name: "Deno.FsFile, syncData each 16 MiB", runs: runs.file },
  );
  return [
    { ...row, ours: `${row.ours}; at ${rate(runs.log)}` },
    compareSides(
      { id: "P13.idle", name: "p99 of a server's answers, beside no load" },
      P99,
      { name: "Basalt", runs: runs.log },
      { name: "no load", runs: runs.idle },
    ),
  ];
}

/** What the load wrote. */
type Load = (signal: AbortSignal) => Promise<number>;

/** Serves for so long under a load; latencies are those of the requests, bytes those of the load. */
async function served(
  context: Context,
  ms: number,
  load: Load,
): Promise<Measured> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("ok"),
  );
  const stop = new AbortController();
  const start = performance.now();
  const loading = load(stop.signal);
  try {
    const answers = await runProgram<Measured>(context, "http_load.ts", [
      `http://127.0.0.1:${server.addr.port}/`,
      String(RATE),
      String(ms),
    ]);
    const seconds = (performance.now() - start) / 1e3;
    stop.abort();
    const bytes = await loading;
    return { ...answers, seconds, bytes };
  } finally {
    stop.abort();
    await server.shutdown();
  }
}

/** A turn of the event loop, as a program that has other work takes it. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

async function loadLog(
  context: Context,
  pool: BufferPool,
  signal: AbortSignal,
): Promise<number> {
  const dir = context.path("served");
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x5a);
  const batch: Uint8Array[] = new Array(BATCH).fill(payload);
  let bytes = 0;
  {
    await using log = await Log.open(dir, { pool, segmentBytes: FILE_BYTES });
    let before = 0;
    while (!signal.aborted) {
      await appendWhenReady(log, batch);
      if (log.stats().rolls !== before) {
        before = log.stats().rolls;
        await log.truncateBefore(log.writtenOffset);
      }
      await turn();
    }
    await log.flush();
    bytes = log.stats().appendedBytes;
  }
  Deno.removeSync(dir, { recursive: true });
  return bytes;
}

async function loadFile(
  context: Context,
  signal: AbortSignal,
): Promise<number> {
  const path = context.path("served-file");
  const batch = new Uint8Array(BATCH * MESSAGE_BYTES).fill(0x5a);
  let bytes = 0;
  let unsynced = 0;
  {
    using file = await Deno.open(path, { write: true, create: true });
    while (!signal.aborted) {
      for (let at = 0; at < batch.length;) {
        at += await file.write(batch.subarray(at));
      }
      bytes += batch.length;
      unsynced += batch.length;
      if (unsynced >= SYNC_BYTES) {
        await file.syncData();
        unsynced = 0;
      }
      if (bytes % FILE_BYTES < batch.length) await file.seek(0, 0);
      await turn();
    }
    await file.syncData();
  }
  Deno.removeSync(path);
  return bytes;
}

async function idle(signal: AbortSignal): Promise<number> {
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  return 0;
}
