/**
 * P8: reading a log with every checksum verified and the first byte of every payload read, beside
 * fio reading the same file.
 */
import { BufferPool, LogReader } from "../../mod.ts";
import type { Context } from "./context.ts";
import { writtenLog } from "./logs.ts";
import {
  CPU_PER_GB,
  type Measured,
  Series,
  Stopwatch,
  THROUGHPUT,
} from "./measure.ts";
import { fio, hasFio, hugePages } from "./references/fio.ts";
import { rounds } from "./rounds.ts";
import { atLeast, atMost, compareSides, type Row } from "./row.ts";
import { DATA_BYTES, MIB } from "./sizes.ts";

const HEADER_BYTES = 64;

/** Measures P8. */
export async function p08(context: Context): Promise<Row[]> {
  if (!await hasFio(context, "P8")) return [];
  using pool = new BufferPool();
  const rows: Row[] = [];
  for (const payloadBytes of [100, 1000]) {
    const dir = await writtenLog(
      context,
      `messages-${payloadBytes}`,
      payloadBytes,
      // Less than a segment's limit, because fio reads one file.
      DATA_BYTES - MIB,
      pool,
    );
    const reader = new LogReader(dir, { pool });
    const side = (huge: boolean) => (ms: number) =>
      fio(context, {
        file: `${dir}/${"0".repeat(20)}.log`,
        rw: "read",
        blockBytes: MIB,
        depth: 8,
        engine: "io_uring",
        ms,
        huge,
        series: true,
      });
    const runs = await rounds(context, `P8, ${payloadBytes} B`, 1200, {
      Basalt: (ms) => scan(reader, ms),
      fio: side(false),
      huge: side(true),
    });
    const name = `log of ${payloadBytes} B messages, verified`;
    const ours = { name: "Basalt", runs: runs.Basalt };
    const theirs = { name: "fio io_uring", runs: runs.fio };
    const id = `P8.read${payloadBytes}`;
    rows.push(
      compareSides({ id, name, goal: atLeast(1.2) }, THROUGHPUT, ours, theirs),
      compareSides(
        { id: `${id}Huge`, name, goal: atLeast(0.95) },
        THROUGHPUT,
        ours,
        {
          name: `fio io_uring, huge pages by ${hugePages().name}`,
          runs: runs.huge,
        },
      ),
      compareSides(
        { id: `${id}Cpu`, name: `${name}, CPU`, goal: atMost(1.5) },
        CPU_PER_GB,
        ours,
        theirs,
      ),
    );
    Deno.removeSync(dir, { recursive: true });
  }
  return rows;
}

/** Reads the whole log repeatedly for a time. */
export async function scan(reader: LogReader, ms: number): Promise<Measured> {
  const series = new Series();
  const watch = new Stopwatch();
  let bytes = 0;
  let operations = 0;
  let touched = 0;
  do {
    for await (using batch of reader.read()) {
      const block = batch.bytes;
      const { starts, count } = batch;
      for (let i = 0; i < count; i++) {
        touched += block[starts[i]! + HEADER_BYTES]!;
      }
      operations += count;
      bytes += batch.byteLength;
      series.add(batch.byteLength);
    }
  } while (watch.ms < ms);
  const stopped = watch.stop();
  if (touched < 0) throw new Error("Cannot be: bytes are not negative");
  return { ...stopped, operations, bytes, series: series.values };
}
