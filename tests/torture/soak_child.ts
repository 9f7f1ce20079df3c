/**
 * Runs a mixed load for a while, and samples what the process holds. Arguments: `DIR MINUTES`, with
 * `--v8-flags=--expose-gc`. Prints one line of JSON, a `SoakReport`.
 * It is a process of its own, because a test runner and its type checker hold more than the load.
 */
import { assert, assertEquals } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";
import { DirectFile } from "../../lib/storage/mod.ts";
import { SeededRandom } from "@basalt/io/testing";
import { authorOf, makePayload, PAYLOAD_LIMIT } from "./_message.ts";

const MIB = 1024 * 1024;
/**
 * When reachable memory is measured for the first time, as a share of the run. By then every part
 * of the program has run.
 */
const FIRST_LOOK = 0.15;

/** What the process holds at a moment. */
export interface Sample {
  minutes: number;
  /** All resident memory. */
  rssMib: number;
  /** The part that is the heap of JavaScript with its garbage. */
  heapMib: number;
  /**
   * The part that is blocks of the pools, leased and free. It is counted as mapped, although blocks
   * that were never used are not resident.
   */
  poolsMib: number;
  /**
   * The part that is pages of the programs and libraries, which the kernel may drop and read again
   * at any time.
   */
  programMib: number;
  descriptors: number;
  threads: number;
}

/** The parameters and the samples of a run. */
export interface SoakReport {
  acknowledged: number;
  read: number;
  transfers: number;
  churned: number;
  /** One sample a second. */
  samples: Sample[];
  /**
   * What is reachable in the heap of JavaScript, early and at the end, each after a full
   * collection.
   */
  reachableMib: [early: number, late: number];
  /** Bytes leased from the pools when everything is closed. */
  leasedBytes: number;
  /** Pages of the log in the page cache, after closing. */
  cachedPages: number;
}

/** Returns the resident pages of files in bytes: the program and its libraries. */
function residentFileBytes(): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return 1024 * Number(/RssFile:\s+(\d+)/.exec(status)![1]);
}

/** Returns how many bytes can be reached from the program. */
function reachableBytes(): number {
  const { gc } = globalThis as unknown as { gc(): void };
  // The second collection frees what finalizers and weak references held.
  gc();
  gc();
  return Deno.memoryUsage().heapUsed;
}

/** Runs every kind of load at once, until it is told to end. */
class Load {
  readonly pool = new BufferPool({ limitBytes: 128 * MIB });
  readonly log: Log;
  readonly #file: DirectFile;
  readonly #random = new SeededRandom(1);
  /**
   * Appending copies the payload at once, so one array is enough for all, and the garbage is
   * Basalt's alone.
   */
  readonly #place = new Uint8Array(PAYLOAD_LIMIT);
  #number = 0;
  ended = false;
  acknowledged = 0;
  read = 0;
  transfers = 0;
  churned = 0;
  /** Bytes leased from the pool at the end. */
  leasedAtTheEnd = -1;

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
      const payload = makePayload({ life: 1, number }, this.#place);
      await this.log.appendDurable(payload);
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
    const { rss, heapTotal } = Deno.memoryUsage();
    const pools = [this.pool, BufferPool.default()];
    const mapped = pools.map((pool) => pool.stats().mappedBytes);
    return {
      minutes,
      rssMib: rss / MIB,
      heapMib: heapTotal / MIB,
      poolsMib: mapped.reduce((sum, bytes) => sum + bytes, 0) / MIB,
      programMib: residentFileBytes() / MIB,
      descriptors: count("/proc/self/fd"),
      threads: count("/proc/self/task"),
    };
  }

  async close(): Promise<void> {
    await this.log.close();
    await this.#file.close();
    this.leasedAtTheEnd = this.pool.stats().inUseBytes;
    this.pool.close();
  }
}

/** Counts the pages of a log's files in the page cache. */
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

const [dir, minutesInAll] = [Deno.args[0]!, Number(Deno.args[1])];
const load = await Load.open(dir);
const work = Promise.all([
  ...Array.from({ length: 8 }, () => load.append()),
  load.scan(),
  load.transfer(),
  load.transfer(),
  load.churn(),
]);
const samples: Sample[] = [];
let early: number | undefined;
const start = performance.now();
const minutes = () => (performance.now() - start) / 60_000;
while (minutes() < minutesInAll) {
  await Promise.race([
    work,
    new Promise((resolve) => setTimeout(resolve, 1000)),
  ]);
  if (minutes() >= FIRST_LOOK * minutesInAll) early ??= reachableBytes();
  samples.push(load.sample(minutes()));
}
load.ended = true;
await work;
const late = reachableBytes();
await load.close();
const leasedBytes = load.leasedAtTheEnd +
  BufferPool.default().stats().inUseBytes;

const { acknowledged, read, transfers, churned } = load;
const report: SoakReport = {
  acknowledged,
  read,
  transfers,
  churned,
  samples,
  reachableMib: [early! / MIB, late / MIB],
  leasedBytes,
  cachedPages: await cachedPages(`${dir}/log`),
};
console.log(JSON.stringify(report));
