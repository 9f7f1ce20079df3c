/**
 * Random histories of a log on a disk with power cuts: nothing acknowledged is lost, and nothing
 * appears that was not appended.
 */
import { assert, assertEquals } from "@std/assert";
import type { Log, LogOptions } from "../../../lib/log/mod.ts";
import { BackpressureError } from "../../../lib/segment/mod.ts";
import type { Durability } from "../../../lib/storage/mod.ts";
import { SeededRandom, SimulatedDisk } from "@basalt/io/testing";
import { HEADER, openLog, openLogSync, payload } from "../_support.ts";
import { cases } from "../../cases.ts";
import { assertBytes, isCrash, placeOn } from "./_support.ts";

/** A message that was appended. */
interface Appended {
  payload: Uint8Array;
  id: Uint8Array<ArrayBuffer>;
  originTimestamp: number;
  /** Known once it was read. */
  timestamp?: number;
}

const DURABILITIES: readonly Durability[] = ["none", "data", "full"];

/** What a log should hold, across its crashes. */
class History {
  readonly random: SeededRandom;
  /** By offset, including those that were truncated or lost. */
  readonly messages: Appended[] = [];
  /** Messages below this offset are durable. */
  acknowledged = 0;
  /** Messages below this offset may have been removed. */
  truncated = 0;
  /** The log begins at this offset or later. */
  first = 0;
  /** Whether each message fills one block. */
  readonly blocks: boolean;
  #made = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.blocks = this.random.chance(0.25);
  }

  /** Remembers what is known to be durable now. */
  observe(log: Log): void {
    assert(log.durableOffset >= this.acknowledged, "durableOffset goes back");
    assert(log.durableOffset <= log.nextOffset);
    this.acknowledged = log.durableOffset;
  }

  /** Makes a message that is different from all others, with a given or a random length. */
  make(length = this.#length()): Appended {
    const { random } = this;
    return {
      payload: payload(1000 + this.#made++, length),
      id: random.fill(new Uint8Array(16)),
      // The origin times of a batch span at most 71 minutes.
      originTimestamp: random.next() % 2 ** 31,
    };
  }

  #length(): number {
    const { random } = this;
    // With whole blocks, new messages end where the old bytes after a cut begin.
    if (this.blocks) return 4096 - HEADER;
    switch (random.below(6)) {
      case 0:
        return 0;
      // The message ends at a block boundary, or nearly.
      case 1:
        return 4096 - HEADER - random.below(2);
      case 2:
        return random.below(20_000);
      default:
        return random.below(600);
    }
  }

  append(log: Log, message: Appended): void {
    try {
      const { id, originTimestamp } = message;
      const offset = log.append(message.payload, { id, originTimestamp });
      assertEquals(offset, this.messages.length);
      this.messages.push(message);
    } catch (error) {
      if (!(error instanceof BackpressureError)) throw error;
    }
  }

  /**
   * Compares a log that was opened again, and forgets what it lost. Returns the lengths of the lost
   * messages.
   */
  async check(log: Log): Promise<number[]> {
    const { messages } = this;
    const { firstOffset, nextOffset } = log;
    assert(firstOffset >= this.first, `begins at ${firstOffset} again`);
    assert(
      firstOffset <= this.truncated,
      `begins at ${firstOffset}, truncated to ${this.truncated}`,
    );
    assert(
      nextOffset >= this.acknowledged,
      `ends at ${nextOffset}, acknowledged ${this.acknowledged}`,
    );
    assert(nextOffset <= messages.length, "more than was appended");
    assertEquals(log.durableOffset, nextOffset);
    let offset = firstOffset;
    let time = 0;
    for await (using batch of log.read()) {
      for (let i = 0; i < batch.count; i++, offset++) {
        const found = batch.message(i);
        const message = messages[offset]!;
        assertEquals(found.offset, offset);
        assertBytes(found.payload, message.payload, `payload of ${offset}`);
        assertEquals(found.id.replaceAll("-", ""), message.id.toHex());
        assertEquals(found.originTimestamp, message.originTimestamp);
        assert(found.timestamp >= time, "time goes back");
        time = found.timestamp;
        assertEquals(message.timestamp ?? time, time, "another time");
        message.timestamp = time;
      }
    }
    assertEquals(offset, nextOffset);
    this.first = firstOffset;
    // What was found is durable, because opening synced it.
    this.acknowledged = nextOffset;
    return messages.splice(nextOffset).map(({ payload }) => payload.length);
  }
}

/**
 * Does random things to a log until the disk crashes or enough was done. All operations have ended
 * then.
 */
async function live(
  history: History,
  log: Log,
  again: number[],
): Promise<void> {
  const { random } = history;
  const pending: Promise<void>[] = [];
  /** Whether async work may be under way, in which case the sync versions refuse. */
  const begin = (work: Promise<unknown>) => {
    pending.push(work.then(
      () => history.observe(log),
      (error) => {
        if (!isCrash(error)) throw error;
      },
    ));
  };
  try {
    // Messages of the same sizes as the lost ones end where the old ones did.
    for (const length of again) {
      history.append(log, history.make(length));
      if (random.chance(0.3)) begin(log.flush());
      else if (history.blocks) await log.flush();
    }
    const steps = 5 + random.below(30);
    for (let step = 0; step < steps; step++) {
      switch (random.below(9)) {
        case 0:
          begin(log.flush({ durability: DURABILITIES[random.below(3)]! }));
          break;
        case 1:
          await log.flush({ durability: DURABILITIES[random.below(3)]! });
          break;
        case 2:
          if (history.messages.length > 0) {
            const offset = random.below(history.messages.length);
            await log.whenDurable(offset);
            assert(log.durableOffset > offset);
          }
          break;
        case 3: {
          if (random.chance(0.6)) break;
          const offset = random.below(log.nextOffset + 1);
          history.truncated = Math.max(history.truncated, offset);
          begin(log.truncateBefore(offset));
          break;
        }
        case 4:
          await Promise.all(pending);
          if (random.chance(0.5)) {
            try {
              log.flushSync({ durability: DURABILITIES[random.below(3)]! });
            } catch (error) {
              // Something that was not awaited is in flight.
              if (!(error instanceof TypeError)) throw error;
            }
          }
          break;
        default:
          for (let i = random.below(6); i >= 0; i--) {
            history.append(log, history.make());
          }
      }
      history.observe(log);
    }
  } catch (error) {
    if (!isCrash(error)) throw error;
  } finally {
    await Promise.all(pending);
  }
}

/**
 * Runs one history: a log is opened a few times, and each time but the last ends with a power cut
 * or a kill.
 */
async function run(seed: number): Promise<void> {
  const history = new History(seed);
  const { random } = history;
  let disk = new SimulatedDisk({ seed, timeStepMicros: 10 });
  let again: number[] = [];
  for (let round = 0; round < 5; round++) {
    const options: LogOptions = {
      segmentBytes: [8_000, 30_000, 200_000][random.below(3)]!,
      blockBytes: 4096 << random.below(3),
      prepareBytes: [0, 0, 20_000, 200_000][random.below(4)]!,
    };
    const plan = disk.failAt(
      1 + random.below([40, 200, 600][random.below(3)]!),
      { crash: true },
    );
    const place = placeOn(disk);
    let log: Log | undefined;
    try {
      log = random.chance(0.7)
        ? await openLog(place, options)
        : openLogSync(place, options);
      again = await history.check(log);
    } catch (error) {
      if (!isCrash(error)) throw error;
    }
    if (log !== undefined && !disk.crashed) {
      await live(history, log, again);
      again = [];
      if (!disk.crashed && random.chance(0.3)) {
        plan();
        await log.close();
        history.acknowledged = history.messages.length;
        log = undefined;
      }
    }
    const next = disk.crashed || random.chance(0.7)
      ? disk.crash("random")
      : disk.kill();
    // Returns the log's memory.
    await log?.close().catch(() => {});
    disk = next;
  }
  const log = await openLog(placeOn(disk));
  await history.check(log);
  await log.close();
  const last = openLogSync(placeOn(disk));
  assertEquals(await history.check(last), []);
  assertEquals(last.stats().opening.recovered, []);
  last.closeSync();
}

/** Runs a history. An error names its seed. */
async function named(seed: number, history = run): Promise<void> {
  try {
    await history(seed);
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
}

Deno.test("Log.open() after random power cuts keeps everything acknowledged, and a prefix of the rest", async () => {
  for (let seed = 1; seed <= cases(300); seed++) await named(seed);
});

/**
 * Loses a tail, appends messages of the same sizes with one flush each, loses power again, and so
 * on.
 */
async function runAgain(seed: number): Promise<void> {
  const history = new History(seed);
  const { random } = history;
  const lengths = Array.from(
    { length: 2 + random.below(6) },
    () =>
      history.blocks
        ? 4096 - HEADER
        : [4096 - HEADER, 8192 - HEADER, 500, 6000][random.below(4)]!,
  );
  let disk = new SimulatedDisk({ seed });
  for (let round = 0; round < 5; round++) {
    const log = openLogSync(placeOn(disk));
    await history.check(log);
    const { nextOffset } = log;
    const durable = random.below(lengths.length);
    for (const [i, length] of lengths.slice(nextOffset).entries()) {
      history.append(log, history.make(length));
      if (i < durable) log.flushSync();
    }
    log.flushSync({ durability: "none" });
    history.observe(log);
    disk = disk.crash("random");
    try {
      // Returns the log's memory.
      log.closeSync();
    } catch (error) {
      if (!isCrash(error)) throw error;
    }
  }
  const log = openLogSync(placeOn(disk));
  await history.check(log);
  log.closeSync();
}

Deno.test("Log.open(): nothing old comes back when lost messages are appended again in the same sizes", async () => {
  for (let seed = 1; seed <= cases(400); seed++) await named(seed, runAgain);
});

Deno.test("Log.open() after random power cuts of new seeds", async () => {
  const seeds = crypto.getRandomValues(new Uint32Array(cases(100)));
  for (const seed of seeds) await named(seed);
});
