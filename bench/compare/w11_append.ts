/**
 * W11: appending messages of 100 bytes to memory, beside the same number of `Deno.FsFile.writeSync`
 * calls.
 */
import type { Log } from "../../mod.ts";
import type { Context } from "./context.ts";
import { newLog } from "./logs.ts";
import { type Measured, TIME } from "./measure.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, type Row } from "./row.ts";

const PAYLOAD_BYTES = 100;
/** Messages of one call of `appendBatch`. */
const BATCH = 1000;
/** Messages between two flushes, which fill the log's buffer. */
const CHUNK = 200 * BATCH;
const CHUNKS = 4;

/** Measures W11. */
export async function w11(context: Context): Promise<Row[]> {
  await using log = await newLog(context);
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x61);
  const strings = Array.from(
    { length: BATCH },
    (_, i) => String(i).padStart(PAYLOAD_BYTES, "message "),
  );
  const arrays = strings.map((text) => new TextEncoder().encode(text));
  using file = Deno.openSync(context.path("buffered"), {
    write: true,
    createNew: true,
  });
  const chunks = Math.max(1, Math.round(context.count(CHUNKS * 100) / 100));
  const appending = (append: () => void) => () =>
    appendChunks(log, chunks, append);
  const runs = await rounds(context, "W11", 0, {
    append: appending(() => {
      for (let i = 0; i < CHUNK; i++) log.append(payload);
    }),
    strings: appending(() => {
      for (let i = 0; i < CHUNK; i += BATCH) log.appendBatch(strings);
    }),
    arrays: appending(() => {
      for (let i = 0; i < CHUNK; i += BATCH) log.appendBatch(arrays);
    }),
    writeSync: () => {
      let ms = 0;
      for (let chunk = 0; chunk < chunks; chunk++) {
        file.seekSync(0, Deno.SeekMode.Start);
        const start = performance.now();
        for (let i = 0; i < CHUNK; i++) file.writeSync(payload);
        ms += performance.now() - start;
      }
      return outcome(chunks, ms);
    },
  });
  const theirs = { name: "Deno.FsFile.writeSync", runs: runs.writeSync };
  const row = (id: string, name: string, own: Measured[]): Row =>
    compareSides(
      {
        id: `W11.${id}`,
        name: `100 B messages into memory, ${name}`,
        goal: atMost(1, 10),
      },
      TIME,
      { name: "Basalt", runs: own },
      theirs,
    );
  return [
    row("append", "one by one", runs.append),
    row("strings", "batches of strings", runs.strings),
    row("arrays", "batches of arrays", runs.arrays),
  ];
}

/** Appends chunks. Only appending is timed, not the flushes between them. */
async function appendChunks(
  log: Log,
  chunks: number,
  append: () => void,
): Promise<Measured> {
  let ms = 0;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const start = performance.now();
    append();
    ms += performance.now() - start;
    await log.flush({ durability: "none" });
  }
  await log.truncateBefore(log.nextOffset);
  return outcome(chunks, ms);
}

function outcome(chunks: number, ms: number): Measured {
  const operations = chunks * CHUNK;
  return { seconds: ms / 1e3, operations, bytes: operations * PAYLOAD_BYTES };
}
