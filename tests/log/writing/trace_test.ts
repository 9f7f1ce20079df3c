/**
 * On the real engine: for every acknowledgement, a completed durable write or sync covers the
 * bytes.
 */
import { assert, assertEquals } from "@std/assert";
import { Log } from "@basalt/io";
import { DiskStorage } from "@basalt/io/storage";
import { SeededRandom } from "@basalt/io/testing";
import type { PooledBuffer } from "../../../lib/pool/mod.ts";
import type { StorageFile, WriteOptions } from "../../../lib/storage/mod.ts";
import { FILES } from "../../permissions.ts";
import { at, DiskPlace, KIB, payload, SimulatedPlace } from "../_support.ts";
import { PassingFile, PassingStorage } from "../_passing_storage.ts";
import { TracedStorage } from "./_trace_checker.ts";

/** Claims that it synced, and did not. */
class ForgetfulStorage extends PassingStorage {
  protected override wrap(file: StorageFile): StorageFile {
    return new ForgetfulFile(file);
  }
}

class ForgetfulFile extends PassingFile {
  override writeSync(
    buffer: PooledBuffer,
    position: number,
    options?: WriteOptions,
  ): number {
    return super.writeSync(buffer, position, {
      ...options,
      durability: "none",
    });
  }
  override syncSync(): void {}
}

/**
 * Appends and waits in many ways. Calls `acknowledged` with each offset below which everything was
 * acknowledged.
 */
async function live(
  log: Log,
  random: SeededRandom,
  acknowledged: (below: number) => void,
): Promise<void> {
  const waiting: Promise<void>[] = [];
  for (let i = 0; i < 120; i++) {
    const offset = log.append(payload(i, random.below(6000)));
    switch (random.below(6)) {
      case 0:
        waiting.push(
          log.whenDurable(offset).then(() => acknowledged(offset + 1)),
        );
        break;
      case 1:
        waiting.push(log.flush().then(() => acknowledged(offset + 1)));
        break;
      case 2:
        await log.flush({ durability: "none" });
        break;
      case 3:
        await log.flush({ durability: "full" });
        acknowledged(offset + 1);
        break;
      default:
        acknowledged(log.durableOffset);
    }
  }
  await Promise.all(waiting);
  await log.flush();
  for (let i = 0; i < 20; i++) {
    const offset = log.append(payload(i, random.below(6000)));
    log.flushSync({ durability: i % 3 ? "data" : "none" });
    acknowledged(i % 3 ? offset + 1 : log.durableOffset);
  }
}

for (const direct of ["prefer", "never"] as const) {
  Deno.test({
    name:
      `Log acknowledges after a durable write or sync of the bytes (direct: ${direct})`,
    ignore: !FILES,
    async fn() {
      let checks = 0;
      for (let seed = 1; seed <= 4; seed++) {
        await at(new DiskPlace(direct), async (place) => {
          const { pool, dir } = place;
          const storage = new TracedStorage(new DiskStorage({ direct, pool }));
          const log = await Log.open(dir, {
            storage,
            pool,
            blockBytes: 16 * KIB,
            segmentBytes: 100 * KIB,
            prepareBytes: seed % 2 ? 64 * KIB : 0,
          });
          let known = 0;
          await live(log, new SeededRandom(seed), (below) => {
            if (below <= known) return;
            const durable = storage.durableOffsets();
            for (let offset = known; offset < below; offset++) {
              assert(durable.has(offset), `${offset} is not durable`);
              checks++;
            }
            known = below;
          });
          await log.close();
        });
      }
      console.log(`${checks} acknowledgements`);
      assert(checks > 300);
    },
  });
}

Deno.test("TracedStorage: nothing is durable in the trace of a storage that pretends to sync", async () => {
  await at(new SimulatedPlace(), (place) => {
    const { pool, dir } = place;
    const traced = new TracedStorage(place.storage);
    const storage = new ForgetfulStorage(traced);
    const log = Log.openSync(dir, { storage, pool, prepareBytes: 0 });
    log.append(payload(0, 100));
    log.flushSync();
    assertEquals([log.durableOffset, traced.durableOffsets().size], [1, 0]);
    log.closeSync();
  });
});
