/** W3: batches of 1000 messages of 256 bytes, each awaited until it is durable. */
import type { Context } from "./context.ts";
import { repeated } from "./durable.ts";
import { appendWhenReady, batchLogBytes, newLog } from "./logs.ts";
import { type Measured, RATE } from "./measure.ts";
import type { SyncedFile } from "./references/synced_file.ts";
import { tryStore } from "./references/store.ts";
import { rounds, type Run } from "./rounds.ts";
import { atLeast, compareSides, type Row } from "./row.ts";

const BATCH = 1000;
const PAYLOAD_BYTES = 256;
const BATCH_BYTES = BATCH * PAYLOAD_BYTES;
const RUN_MS = 1000;

/** Measures W3. */
export async function w03(context: Context): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x5a);
  const batch = new Array(BATCH).fill(payload);
  const logBytes = await batchLogBytes(context, BATCH, PAYLOAD_BYTES);
  const file = stack.use((await tryStore(context, "file"))!);
  const sqlite = await tryStore(context, "sqlite");
  if (sqlite !== undefined) stack.use(sqlite);

  const sides: Record<string, Run> = {
    Basalt: (ms) => appendBatches(context, batch, ms),
    fileLog: (ms) => writeBatches(file, logBytes, ms),
    filePayload: (ms) => writeBatches(file, BATCH_BYTES, ms),
  };
  if (sqlite !== undefined) {
    sides.sqlite = (ms) =>
      repeated(
        { ms, messages: BATCH, bytes: BATCH_BYTES },
        () => sqlite.putMany(batch),
      );
  }
  const runs = await rounds(context, "W3", RUN_MS, sides);

  const ours = { name: "Basalt, appendBatch", runs: runs.Basalt! };
  const name = "durable batches of 1000 x 256 B, each awaited";
  const row = (id: string, goal: number, side: string, theirs: string): Row =>
    compareSides(
      { id: `W3.${id}`, name, goal: atLeast(goal) },
      RATE,
      ours,
      { name: theirs, runs: runs[side]! },
    );
  const write = "Deno.FsFile, write and syncData";
  return [
    row("log", 0.9, "fileLog", `${write} of as many log bytes, ${logBytes}`),
    row("payload", 0.8, "filePayload", `${write} of the payloads alone`),
    ...sqlite === undefined
      ? []
      : [row("sqlite", 3, "sqlite", `${sqlite.name}, transactions of 1000`)],
  ];
}

/** Fills a new log for a time. */
async function appendBatches(
  context: Context,
  batch: readonly Uint8Array[],
  ms: number,
): Promise<Measured> {
  const log = await newLog(context);
  try {
    return await repeated(
      { ms, messages: BATCH, bytes: BATCH_BYTES },
      async () => {
        const first = await appendWhenReady(log, batch);
        await log.whenDurable(first + BATCH - 1);
      },
    );
  } finally {
    await log.close();
    Deno.removeSync(log.path, { recursive: true });
  }
}

/** Fills an empty file for a time. */
async function writeBatches(
  file: SyncedFile,
  bytes: number,
  ms: number,
): Promise<Measured> {
  const block = new Uint8Array(bytes).fill(0x5a);
  try {
    return await repeated(
      { ms, messages: BATCH, bytes: BATCH_BYTES },
      () => file.write(block),
    );
  } finally {
    file.clear();
  }
}
