/**
 * P3: reading and writing a prewritten file in order, 1 MiB at a time, eight in flight. Each side
 * syncs at the end of writing.
 */
import { BufferPool, type PooledBuffer } from "../../mod.ts";
import type { Context } from "./context.ts";
import { readDirect, touchedBuffers, writeDirect } from "./direct.ts";
import { type Measured, THROUGHPUT } from "./measure.ts";
import { readDenoFile, writeDenoFile } from "./references/deno_file.ts";
import { fio, hasFio, hugePages } from "./references/fio.ts";
import { dropPages, hasNative } from "./references/native.ts";
import { nodeFile } from "./references/node_file.ts";
import { Isolate } from "./isolate.ts";
import { rounds } from "./rounds.ts";
import {
  atLeast,
  compareSides,
  type Goal,
  type Row,
  type Side,
} from "./row.ts";
import { DATA_BYTES, MIB } from "./sizes.ts";

const DEPTH = 8;
const RUN_MS = 1000;

/** Measures P3. */
export async function p03(context: Context): Promise<Row[]> {
  const data = await context.file("data", DATA_BYTES);
  const scratch = await context.file("scratch", DATA_BYTES);
  using pool = new BufferPool();
  const buffers = touchedBuffers(pool, DEPTH, MIB);
  try {
    return [
      ...await reading(context, data, buffers),
      ...await writing(context, scratch, buffers),
    ];
  } finally {
    for (const buffer of buffers) buffer.drop();
  }
}

async function reading(
  context: Context,
  path: string,
  buffers: readonly PooledBuffer[],
): Promise<Row[]> {
  const withFio = await hasFio(context, "P3.read, P3.readHuge");
  const withNative = hasNative(context, "P3.readFile");
  using threads = new Isolate({ kind: "threads" });
  const runs = await rounds(context, "P3 reading", RUN_MS, {
    Basalt: (ms) => readDirect(path, buffers, ms),
    ...withFio
      ? {
        ...fioSides(context, path, "read"),
        threads: (ms: number) => threads.run("sequential", path, "read", ms),
      }
      : {},
    ...withNative
      ? {
        file: (ms: number) =>
          readDenoFile(path, ms, () => dropPages(context, path)),
      }
      : {},
    cached: (ms) => readDenoFile(path, ms),
    node: (ms) => nodeFile(path, "read", buffers, ms),
  });
  const row = (id: string, goal: Goal | undefined, theirs: Side): Row =>
    compareSides(
      {
        id: `P3.${id}`,
        name: "1 MiB sequential read, depth 8",
        ...goal === undefined ? {} : { goal },
      },
      THROUGHPUT,
      { name: "Basalt", runs: runs.Basalt },
      theirs,
    );
  const rows: Row[] = [];
  if (runs.fio !== undefined && runs.huge !== undefined) {
    rows.push(
      row("read", atLeast(1.2), { name: "fio io_uring", runs: runs.fio }),
      compareSides(
        {
          id: "P3.readThreads",
          name: "1 MiB sequential read, depth 8, engine of threads",
          goal: atLeast(1),
        },
        THROUGHPUT,
        { name: "Basalt, threads", runs: runs.threads! },
        { name: "fio io_uring", runs: runs.fio },
      ),
      row("readHuge", atLeast(0.98), {
        name: `fio io_uring, huge pages by ${hugePages().name}`,
        runs: runs.huge,
      }),
    );
  }
  if (runs.file !== undefined) {
    rows.push(row("readFile", atLeast(1.6), {
      name: "Deno.FsFile, nothing cached",
      runs: runs.file,
    }));
  }
  rows.push(
    row("readCached", undefined, {
      name: "Deno.FsFile, everything cached",
      runs: runs.cached,
    }),
    row("readNode", undefined, {
      name: "node:fs, O_DIRECT, aligned views",
      runs: runs.node,
    }),
  );
  return rows;
}

async function writing(
  context: Context,
  path: string,
  buffers: readonly PooledBuffer[],
): Promise<Row[]> {
  const withFio = await hasFio(context, "P3.write, P3.writeHuge");
  using threads = new Isolate({ kind: "threads" });
  const runs = await rounds(context, "P3 writing", RUN_MS, {
    Basalt: (ms) => writeDirect(path, buffers, ms),
    ...withFio
      ? {
        ...fioSides(context, path, "write"),
        threads: (ms: number) => threads.run("sequential", path, "write", ms),
      }
      : {},
    file: (ms) => writeDenoFile(path, ms),
    node: (ms) => nodeFile(path, "write", buffers, ms),
  });
  const row = (id: string, goal: Goal | undefined, theirs: Side): Row =>
    compareSides(
      {
        id: `P3.${id}`,
        name: "1 MiB sequential write, depth 8, synced",
        ...goal === undefined ? {} : { goal },
      },
      THROUGHPUT,
      { name: "Basalt", runs: runs.Basalt },
      theirs,
    );
  const rows: Row[] = [];
  if (runs.fio !== undefined && runs.huge !== undefined) {
    rows.push(
      row("write", atLeast(1.2), { name: "fio io_uring", runs: runs.fio }),
      compareSides(
        {
          id: "P3.writeThreads",
          name: "1 MiB sequential write, depth 8, engine of threads",
          goal: atLeast(1),
        },
        THROUGHPUT,
        { name: "Basalt, threads", runs: runs.threads! },
        { name: "fio io_uring", runs: runs.fio },
      ),
      row("writeHuge", atLeast(0.98), {
        name: `fio io_uring, huge pages by ${hugePages().name}`,
        runs: runs.huge,
      }),
    );
  }
  rows.push(
    row("writeFile", atLeast(1.6), {
      name: "Deno.FsFile, syncData",
      runs: runs.file,
    }),
    row("writeNode", undefined, {
      name: "node:fs, O_DIRECT, aligned views",
      runs: runs.node,
    }),
  );
  return rows;
}

function fioSides(
  context: Context,
  file: string,
  rw: "read" | "write",
): Record<"fio" | "huge", (ms: number) => Promise<Measured>> {
  const side = (huge: boolean) => (ms: number) =>
    fio(context, {
      file,
      rw,
      blockBytes: MIB,
      depth: DEPTH,
      engine: "io_uring",
      ms,
      huge,
      series: true,
    });
  return { fio: side(false), huge: side(true) };
}
