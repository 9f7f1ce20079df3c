/** Mixed load for a while: what a process holds must not grow. Minutes are given by BASALT_SOAK_MINUTES; a quarter of one if not. */
import { assert, assertEquals } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";
import { DirectFile } from "../../lib/storage/mod.ts";
import { SeededRandom } from "@basalt/io/testing";
import { ALL } from "../permissions.ts";
import { authorOf, makePayload } from "./message.ts";

const MINUTES = Number(ALL ? Deno.env.get("BASALT_SOAK_MINUTES") ?? 0.25 : 0);
const MIB = 1024 * 1024;
/** More than this a minute is growth; a short run sees the collector's waves instead. */
const MAX_SLOPE_MIB = MINUTES >= 5 ? 1 : 100;

/** What the process holds at a moment. */
interface Sample {
  minutes: number;
  rssMib: number;
  inUseBytes: number;
  descriptors: number;
  threads: number;
}

/** The slope of a line through the samples, by least squares. */
function slope(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [x, y] = [mean((each) => each.minutes), mean((each) => each.rssMib)];
  let [above, below] = [0, 0];
  for (const { minutes, rssMib } of samples) {
    above += (minutes - x) * (rssMib - y);
    below += (minutes - x) ** 2;
  }
  return above / below;
}

/** Everything at once, until it is told to end. */
class Load {
  readonly pool = new BufferPool({ limitBytes: 128 * MIB });
  readonly log: Log;
  readonly #file: DirectFile;
  readonly #random = new SeededRandom(1);
  #number = 0;
  ended = false;
  acknowledged = 0;
  read = 0;
  transfers = 0;
  churned = 0;

  constructor(log: Log, file: DirectFile) {
    this.log = log;
    this.#file = file;
  }

  static async open(dir: string): Promise<Load> {
    const path = `${dir}/file`;
    const file = await DirectFile.open(path, {
      read: true,
      write: true,
      create: true,
    });
    await file.truncate(16 * MIB);
    const log = await Log.open(`${dir}/log`, {
      segmentBytes: 8 * MIB,
      prepareBytes: 4 * MIB,
    });
    return new Load(log, file);
  }

  async append(): Promise<void> {
    while (!this.ended) {
      const number = this.#number++;
      await this.log.appendDurable(makePayload({ life: 1, number }));
      this.acknowledged++;
      if (number % 5000 === 0) {
        await this.log.truncateBefore(Math.max(
          this.log.firstOffset,
          this.log.durableOffset - 60_000,
        ));
      }
    }
  }

  async scan(): Promise<void> {
    while (!this.ended) {
      const from = Math.max(
        this.log.firstOffset,
        this.log.writtenOffset - 5000,
      );
      for await (using batch of this.log.read({ from })) {
        for (let i = 0; i < batch.count; i += 7, this.read++) {
          assert(authorOf(batch.payload(i)) !== undefined);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async transfer(): Promise<void> {
    while (!this.ended) {
      using block = await this.pool.acquire(64 * 1024, { zeroed: true });
      const position = this.#random.below(255) * 64 * 1024;
      await this.#file.write(block, position, {
        durability: this.#random.chance(0.1) ? "data" : "none",
      });
      using part = await this.#file.readAt(position + 100, 5000);
      assertEquals(part.length, 5000);
      this.transfers++;
    }
  }

  async churn(): Promise<void> {
    while (!this.ended) {
      for (let i = 0; i < 50; i++, this.churned++) {
        const buffer = this.pool.acquireSync(this.#random.below(MIB));
        buffer.bytes[0] = 1;
        if (i % 3 === 0) buffer.freeze().drop();
        else if (i % 3 === 1) buffer.splitTo(buffer.length >> 1).drop();
        buffer.drop();
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  sample(minutes: number): Sample {
    const count = (path: string) => [...Deno.readDirSync(path)].length;
    return {
      minutes,
      rssMib: Deno.memoryUsage().rss / MIB,
      inUseBytes: this.pool.stats().inUseBytes,
      descriptors: count("/proc/self/fd"),
      threads: count("/proc/self/task"),
    };
  }

  async close(): Promise<void> {
    await this.log.close();
    await this.#file.close();
    this.pool.close();
  }
}

/** Pages of a log's files in the page cache. */
async function cachedPages(dir: string): Promise<number> {
  let pages = 0;
  for (const { name } of Deno.readDirSync(dir)) {
    if (!/\.(log|index)$/.test(name)) continue;
    await using file = await DirectFile.open(`${dir}/${name}`);
    if (file.capabilities.tier === "direct") {
      pages += (await file.verifyDirect()).cachedPages;
    }
  }
  return pages;
}

Deno.test(
  `${MINUTES} minutes of mixed load: memory, descriptors and threads stay flat, and nothing is cached`,
  {
    ignore: !ALL,
  },
  async () => {
    const dir = Deno.makeTempDirSync({ prefix: "basalt_soak_" });
    try {
      const load = await Load.open(dir);
      const work = Promise.all([
        ...Array.from({ length: 8 }, () => load.append()),
        load.scan(),
        load.transfer(),
        load.transfer(),
        load.churn(),
      ]);
      const samples: Sample[] = [];
      const start = performance.now();
      const minutes = () => (performance.now() - start) / 60_000;
      while (minutes() < MINUTES) {
        await Promise.race([
          work,
          new Promise((resolve) => setTimeout(resolve, 1000)),
        ]);
        samples.push(load.sample(minutes()));
      }
      load.ended = true;
      await work;
      await load.close();
      const cached = await cachedPages(`${dir}/log`);

      const warm = Math.ceil(samples.length / 5);
      const late = samples.slice(warm);
      const most = (of: (sample: Sample) => number, all: Sample[]) =>
        Math.max(...all.map(of));
      const mibAMinute = slope(late);
      console.log(
        `${load.acknowledged} acknowledged, ${load.read} read, ${load.transfers} transfers, ${load.churned} buffers; ` +
          `RSS ${late[0]!.rssMib.toFixed(0)} to ${
            late.at(-1)!.rssMib.toFixed(0)
          } MiB, ${mibAMinute.toFixed(2)} MiB a minute over the last 80 %; ` +
          `${late.at(-1)!.descriptors} descriptors, ${
            late.at(-1)!.threads
          } threads; ${cached} pages cached after closing`,
      );
      assert(mibAMinute <= MAX_SLOPE_MIB, `${mibAMinute} MiB a minute`);
      for (const  of of["descriptors", "threads"] as const) {
        const early = most((each) => each[of], samples.slice(0, warm));
        // A roll or a read in between holds some files.
        assert(
          most((each) => each[of], late) <= early + 6,
          `${of}: ${samples.map((each) => each[of])}`,
        );
      }
      assertEquals(cached, 0);
      assert(load.acknowledged > 100 && load.read > 100 && load.transfers > 10);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);
