/** What pooling costs the log, as a ratio. */
import { assert } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { FILES } from "../permissions.ts";
import { at, DiskPlace, MIB, testPool } from "./support.ts";

const COUNT = 40_000;

Deno.test("Appending with the pool on is not slower than with it off", {
  ignore: !FILES,
}, async () => {
  await at(new DiskPlace("never"), async (place) => {
    const pools = [true, false].map((enabled) => testPool({ enabled }));
    const payload = new Uint8Array(200);
    const logs: Log[] = [];
    for (const [i, pool] of pools.entries()) {
      const dir = `${place.dir}/${i}`;
      logs.push(await Log.open(dir, { pool, prepareBytes: 0 }));
    }
    const times: [on: number[], off: number[]] = [[], []];
    // Only appending is timed; in turns, and the best of each, so that what else the machine does
    // counts for neither.
    for (let round = 0; round < 12; round++) {
      for (const [i, log] of logs.entries()) {
        const start = performance.now();
        for (let n = 0; n < COUNT; n++) log.append(payload);
        times[i]!.push(performance.now() - start);
        await log.flush({ durability: "none" });
      }
      for (const log of logs) await log.truncateBefore(log.nextOffset);
    }
    const [on, off] = times.map((all) => Math.min(...all)) as [number, number];
    const figures = `on ${on.toFixed(1)} ms, off ${off.toFixed(1)} ms`;
    assert(on <= 1.25 * off, figures);
    console.log(`best of 12, ${COUNT} messages: ${figures}`);
    for (const log of logs) await log.close();
    assert(pools[0]!.stats().peakMappedBytes < 64 * MIB);
    for (const pool of pools) pool.close();
  });
});
