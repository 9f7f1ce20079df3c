/** Buffers that no file can take, and pools without room or closed, used with a log. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Log, LogReader } from "../../lib/log/mod.ts";
import { PoolLimitError } from "../../lib/pool/mod.ts";
import { DiskStorage } from "../../lib/storage/mod.ts";
import { FILES } from "../permissions.ts";
import {
  appendSome,
  at,
  drainSync,
  onEachPlace,
  openLogSync,
  SimulatedPlace,
  testPool,
} from "../log/_support.ts";

onEachPlace(
  "DirectFile.read() and write() with an empty buffer throw a RangeError that names the buffer",
  async ({ storage, pool, dir }) => {
    storage.makeDirectorySync(dir);
    const path = `${dir}/file`;
    const file = storage.openSync(path, { write: true, create: true });
    using empty = pool.acquireSync(0);
    for (
      const [kind, run] of [
        ["read", () => file.readSync(empty, 0)],
        ["write", () => file.writeSync(empty, 0)],
      ] as const
    ) {
      assertThrows(
        run,
        RangeError,
        `Cannot ${kind} '${path}' as 'buffer' must have at least 1 byte: received an empty one`,
      );
    }
    await assertRejects(() => file.write(empty, 0), RangeError, "'buffer'");
    assertEquals(file.sizeSync(), 0);
    file.closeSync();
  },
);

for (
  const [name, make] of [
    ["too small", () => testPool({ limitBytes: 4096, atLimit: "fail" })],
    ["closed", () => {
      const pool = testPool();
      pool.close();
      return pool;
    }],
  ] as const
) {
  Deno.test(`Log.open() with a pool that is ${name} reports it; the messages stay, and the log opens with another pool`, () =>
    at(new SimulatedPlace(), async (place) => {
      {
        using log = openLogSync(place);
        appendSome(log, 20, 3000);
      }
      const { storage, dir } = place;
      const pool = make();
      const thrown = await assertRejects(() =>
        Log.open(dir, { storage, pool, prepareBytes: 0 })
      );
      if (name === "too small") {
        assert(thrown instanceof PoolLimitError, String(thrown));
        assertEquals(pool.stats().inUseBytes, 0);
      } else {assert(
          /pool is closed/.test((thrown as Error).message),
          String(thrown),
        );}
      pool.close();
      using log = openLogSync(place);
      assertEquals(drainSync(log).length, 20);
    }));
}

Deno.test({
  name:
    "Log works with a pool other than its storage's, and with a reader on a third one",
  ignore: !FILES,
  fn: async () => {
    const [one, two, three] = [testPool(), testPool(), testPool()];
    const dir = Deno.makeTempDirSync({ prefix: "basalt_input_" });
    try {
      {
        const storage = new DiskStorage({ pool: two });
        await using log = await Log.open(dir, {
          pool: one,
          storage,
          prepareBytes: 0,
        });
        appendSome(log, 100, 1000);
        await log.flush();
        assertEquals(
          drainSync(new LogReader(dir, { pool: three })).length,
          100,
        );
      }
      for (const pool of [one, two, three]) {
        assertEquals(pool.stats().inUseBytes, 0);
        pool.close();
      }
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
});
