/**
 * Wide ratios that only a mistake can miss: the fastest of several tries on each side, far from
 * what is usual.
 */
import { assertEquals } from "@std/assert";
import { BufferPool, Log } from "@basalt/io";
import { FILES } from "../permissions.ts";

const TRIES = 8;
const BATCH = 1000;
const MESSAGES = 50 * BATCH;

Deno.test({
  name: "appendBatch takes less than twice the time of as many writeSync",
  ignore: !FILES,
  async fn() {
    const dir = Deno.makeTempDirSync();
    try {
      using pool = new BufferPool({ limitBytes: 128 * 1024 ** 2 });
      await using log = await Log.open(`${dir}/log`, {
        pool,
        prepareBytes: 0,
      });
      using file = Deno.openSync(`${dir}/file`, {
        write: true,
        createNew: true,
      });
      const payload = new Uint8Array(100).fill(1);
      const batch: Uint8Array[] = new Array(BATCH).fill(payload);
      let [ours, theirs] = [Infinity, Infinity];
      for (let i = 0; i < TRIES; i++) {
        let start = performance.now();
        for (let done = 0; done < MESSAGES; done += BATCH) {
          log.appendBatch(batch);
        }
        ours = Math.min(ours, performance.now() - start);
        await log.flush({ durability: "none" });

        file.seekSync(0, Deno.SeekMode.Start);
        start = performance.now();
        for (let done = 0; done < MESSAGES; done++) file.writeSync(payload);
        theirs = Math.min(theirs, performance.now() - start);
      }
      assertEquals(ours < 2 * theirs, true, `${ours} ms and ${theirs} ms`);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
});
