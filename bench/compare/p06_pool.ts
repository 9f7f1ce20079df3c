/** P6: leases of the pool in JavaScript, beside memory of V8's own. */
import { BufferPool } from "../../mod.ts";
import type { Context } from "./context.ts";
import { type Measured, TIME } from "./measure.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, type Goal, type Row } from "./row.ts";
import { MIB } from "./sizes.ts";

/** What is taken and given back between two looks at the clock. */
const CHUNK = 500;

/** Measures P6. */
export async function p06(context: Context): Promise<Row[]> {
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
