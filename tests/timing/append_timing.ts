/** Compares appending with writing to a file. The limit is far from the usual ratio. */
import { assert } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { at, DiskPlace } from "../log/_support.ts";
import { fastest } from "./_fastest.ts";

const BATCH = 1000;
const MESSAGES = 50 * BATCH;

Deno.test("Log.appendBatch() takes less than twice the time of as many calls of writeSync", () =>
  at(new DiskPlace(), async ({ dir, storage, pool }) => {
    await using log = await Log.open(`${dir}/log`, {
      storage,
      pool,
      prepareBytes: 0,
    });
    using file = Deno.openSync(`${dir}/file`, { write: true, createNew: true });
    const payload = new Uint8Array(100).fill(1);
    const batch: Uint8Array[] = new Array(BATCH).fill(payload);
    const [ours, theirs] = await fastest(8, {
      run() {
        for (let done = 0; done < MESSAGES; done += BATCH) {
          log.appendBatch(batch);
        }
      },
      after: () => log.flush({ durability: "none" }),
    }, {
      run() {
        for (let done = 0; done < MESSAGES; done++) file.writeSync(payload);
      },
      after: () => void file.seekSync(0, Deno.SeekMode.Start),
    });
    assert(ours < 2 * theirs, `${ours} ms and ${theirs} ms`);
  }));
