/**
 * P6: leases of the pool: in Rust beside `iggy_common`'s pool, in JavaScript beside memory of V8.
 */
import { BufferPool } from "../../mod.ts";
import type { Context } from "./context.ts";
import { formatMicros, type Measured, TIME } from "./measure.ts";
import { poolReference } from "./references/pool.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, type Goal, ownFigure, type Row } from "./row.ts";
import { MIB } from "./sizes.ts";

/** Leases between two reads of the clock. */
const CHUNK = 500;

/** The rows of `bench/pool_reference`, by the names that it prints. */
const NATIVE: Readonly<Record<string, { id: string; goal: Goal }>> = {
  "acquire, drop, 4 KiB": { id: "P6.acquire4k", goal: atMost(0.5) },
  "acquire, drop, 1 MiB": { id: "P6.acquire1m", goal: atMost(0.5) },
  "acquire, put, freeze, drop, 1 MiB": {
    id: "P6.freeze",
    goal: atMost(1, 50),
  },
};
const SPLIT = "split at 4096, 1 MiB";

/** Measures P6. */
export async function p06(context: Context): Promise<Row[]> {
  return [...await inRust(context), ...await inJavaScript(context)];
}

async function inRust(context: Context): Promise<Row[]> {
  context.show("P6: the pools in Rust");
  const rows: Row[] = [];
  for (const line of await poolReference(context, "P6 in Rust")) {
    const { name, ours_ns, theirs_ns, ratio, min, max } = line;
    const theirs = formatMicros(theirs_ns / 1e3);
    const known = NATIVE[name];
    if (known !== undefined && ours_ns !== null) {
      rows.push(ownFigure({
        ...known,
        name: `pool in Rust: ${name}`,
        unit: "ratio",
        reference: "iggy_common 0.10.0",
        ours: formatMicros(ours_ns / 1e3),
        theirs,
      }, [min!, ratio!, max!]));
    } else if (name === SPLIT) {
      const nanoseconds = splits(context);
      rows.push(ownFigure({
        id: "P6.split",
        name: `pool: ${name}, ours in JavaScript`,
        goal: atMost(1, 200),
        unit: "ratio",
        reference: "iggy_common 0.10.0",
        ours: formatMicros(
          nanoseconds.toSorted((a, b) => a - b)[
            nanoseconds.length >> 1
          ]! / 1e3,
        ),
        theirs,
      }, nanoseconds.map((each) => each / theirs_ns)));
    }
  }
  return rows;
}

/**
 * Measures a split alone. Returns nanoseconds, one value for each pair. A split is bookkeeping in
 * JavaScript, without a native call.
 */
function splits(context: Context): number[] {
  using pool = new BufferPool();
  const one = (count: number): number => {
    const buffers = Array.from({ length: count }, () => {
      const buffer = pool.acquireSync(MIB);
      buffer.bytes[0] = 1;
      return buffer;
    });
    const start = performance.now();
    const heads = buffers.map((buffer) => buffer.splitTo(4096));
    const ms = performance.now() - start;
    for (const buffer of [...heads, ...buffers]) buffer.drop();
    return ms * 1e6 / count;
  };
  one(CHUNK);
  return Array.from({ length: context.pairs }, () => one(CHUNK));
}

async function inJavaScript(context: Context): Promise<Row[]> {
  using pool = new BufferPool();
  const rows: Row[] = [];
  for (
    const { id, size, length, touched } of [
      { id: "4k", size: "4 KiB", length: 4096, touched: atMost(1, 4) },
      { id: "1m", size: "1 MiB", length: MIB, touched: atMost(1, 100) },
    ]
  ) {
    const runs = await rounds(context, `P6, ${size}`, 400, {
      bare: (ms) => timed(ms, () => pool.acquireSync(length).drop()),
      touched: (ms) =>
        timed(ms, () => {
          const buffer = pool.acquireSync(length);
          buffer.bytes[0] = 1;
          buffer.drop();
        }),
      array: (ms) =>
        timed(ms, () => {
          new Uint8Array(length)[0] = 1;
        }),
    });
    const theirs = { name: "new Uint8Array", runs: runs.array };
    const row = (
      id: string,
      what: string,
      goal: Goal,
      own: Measured[],
    ): Row =>
      compareSides(
        { id, name: `${size} of the pool, ${what}`, goal },
        TIME,
        { name: "Basalt", runs: own },
        theirs,
      );
    rows.push(
      row(
        `P6.touched${id}`,
        "acquire, touch, drop (detached)",
        touched,
        runs.touched,
      ),
      row(`P6.bare${id}`, "acquire, drop", atMost(1, 30), runs.bare),
    );
  }
  return rows;
}

function timed(ms: number, body: () => void): Measured {
  let operations = 0;
  const start = performance.now();
  let now = start;
  while (now - start < ms) {
    for (let i = 0; i < CHUNK; i++) body();
    operations += CHUNK;
    now = performance.now();
  }
  return { seconds: (now - start) / 1e3, operations, bytes: 0 };
}
