/**
 * A log in a directory whose writers are killed and whose storage fails, and checks of what must
 * hold.
 */
import { Log } from "../../lib/log/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";
import { PoisonedError } from "../../lib/segment/mod.ts";
import { DiskStorage, NoSpaceError } from "../../lib/storage/mod.ts";
import { SeededRandom } from "@basalt/io/testing";
import { FailingStorage, type FaultPlan } from "./_failing_storage.ts";
import { type Author, authorOf, makeBatch } from "./_message.ts";

/** When a writer is killed. */
export type Moment = "writing" | "recovering" | "closing";

/** The results. */
export interface TortureFigures {
  /** Kills, by what the writer was doing. */
  kills: Record<Moment, number>;
  /** Operations that were made to fail. */
  faults: number;
  /** Messages that were reported as durable. */
  acknowledged: number;
  /** Those of them that were missing or different. */
  lost: number;
  /** Messages that were compared byte by byte, some of them repeatedly. */
  compared: number;
  /** The longest time until a killed owner's log was open again, in milliseconds. */
  slowestOpenMs: number;
  /** Descriptions of what was found wrong. */
  wrongs: string[];
}

/** Tortures a log in a directory of its own, compares all of it, and returns the results. */
export async function torture(
  seed: number,
  work: (log: TorturedLog) => Promise<void>,
): Promise<TortureFigures> {
  const dir = Deno.makeTempDirSync({ prefix: "basalt_torture_" });
  const log = new TorturedLog(`${dir}/log`, seed);
  try {
    await work(log);
    await log.compare(true);
  } finally {
    log.close();
    Deno.removeSync(dir, { recursive: true });
  }
  return log.figures;
}

/** One of this many openings compares the whole log. The others compare what was appended since. */
const WHOLE_EVERY = 25;

/** Kills writers of one log, fails operations under others, and checks what they leave. */
export class TorturedLog {
  readonly figures: TortureFigures = {
    kills: { writing: 0, recovering: 0, closing: 0 },
    faults: 0,
    acknowledged: 0,
    lost: 0,
    compared: 0,
    slowestOpenMs: 0,
    wrongs: [],
  };

  readonly #dir: string;
  readonly #random: SeededRandom;
  readonly #pool = new BufferPool({ limitBytes: 256 * 1024 * 1024 });
  /** The authors of acknowledged messages, by offset. */
  readonly #acknowledged = new Map<number, Author>();
  /** Messages below this offset may be removed. */
  #truncated = 0;
  /** Messages below this offset were compared before. */
  #compared = 0;
  #life = 0;
  #openings = 0;

  constructor(dir: string, seed: number) {
    this.#dir = dir;
    this.#random = new SeededRandom(seed);
  }

  /**
   * Runs a writer and kills it. The log is then opened and compared, or left to the next writer as
   * it is.
   */
  async kill(): Promise<void> {
    const random = this.#random;
    const moment: Moment = random.chance(0.6)
      ? "writing"
      : random.chance(0.6)
      ? "recovering"
      : "closing";
    await this.#live(++this.#life, moment);
    this.figures.kills[moment]++;
    if (random.chance(0.7)) await this.compare();
  }

  /**
   * Runs a writer in this process whose storage fails at some operation. Then the log is opened and
   * compared.
   */
  async fail(): Promise<void> {
    const random = this.#random;
    const plan: FaultPlan = {
      // Opening takes about 20 operations.
      number: 1 + random.below(random.chance(0.3) ? 30 : 120),
      sticky: random.chance(0.5),
      done: random.chance(0.5),
      code: random.chance(0.3) ? "ENOSPC" : "EIO",
    };
    const disk = new DiskStorage({ pool: this.#pool });
    const storage = new FailingStorage(disk, plan);
    try {
      await this.#write(++this.#life, storage);
    } catch (error) {
      const { code } = error as { code?: unknown };
      const known = error instanceof PoisonedError ||
        error instanceof NoSpaceError ||
        code === plan.code;
      if (!known) {
        this.figures.wrongs.push(`${JSON.stringify(plan)} led to ${error}`);
      }
    }
    this.figures.faults += storage.failed;
    await this.compare();
  }

  /** Opens the log like the next owner, and compares what it holds. */
  async compare(whole = ++this.#openings % WHOLE_EVERY === 0): Promise<void> {
    const start = performance.now();
    const log = await Log.open(this.#dir, { pool: this.#pool });
    const openMs = performance.now() - start;
    this.figures.slowestOpenMs = Math.max(this.figures.slowestOpenMs, openMs);
    try {
      await this.#compareWith(log, whole);
    } finally {
      await log.close();
    }
  }

  /** Closes the pool. */
  close(): void {
    this.#pool.close();
  }

  async #compareWith(log: Log, whole: boolean): Promise<void> {
    const { figures } = this;
    const { firstOffset, nextOffset } = log;
    if (firstOffset > this.#truncated) {
      figures.wrongs.push(
        `the log begins at ${firstOffset}, truncated to ${this.#truncated} at most`,
      );
    }
    const from = whole ? firstOffset : Math.max(firstOffset, this.#compared);
    let offset = from;
    let before: Required<Author> | undefined;
    for await (using batch of log.read({ from })) {
      for (let i = 0; i < batch.count; i++, offset++) {
        const found = authorOf(batch.payload(i));
        figures.compared++;
        if (found === undefined) {
          figures.wrongs.push(`message ${offset} was never appended`);
        }
        this.#checkBatch(offset, before, found);
        before = found;
        const expected = this.#acknowledged.get(offset);
        if (expected === undefined) continue;
        if (found?.life === expected.life && found.number === expected.number) {
          continue;
        }
        this.#lost(offset, `is not the one that was acknowledged`);
      }
    }
    if (offset !== nextOffset) {
      figures.wrongs.push(
        `reading ended at ${offset}, but the log ends at ${nextOffset}`,
      );
    }
    this.#checkBatch(offset, before, undefined);
    for (const acknowledged of this.#acknowledged.keys()) {
      if (acknowledged >= nextOffset) this.#lost(acknowledged, "is gone");
      else if (acknowledged < firstOffset) {
        this.#acknowledged.delete(acknowledged);
      }
    }
    // What was found is durable now, whichever run appended it.
    this.#compared = nextOffset;
  }

  /** Checks that a message of a batch is followed by the next one of that batch. */
  #checkBatch(
    offset: number,
    before: Required<Author> | undefined,
    found: Required<Author> | undefined,
  ): void {
    if (before === undefined || before.following === 0) return;
    const follows = found?.life === before.life &&
      found.number === before.number + 1 &&
      found.following === before.following - 1;
    if (follows) return;
    this.figures.wrongs.push(`the batch before offset ${offset} is not whole`);
  }

  #lost(offset: number, what: string): void {
    this.figures.lost++;
    this.#acknowledged.delete(offset);
    this.figures.wrongs.push(`acknowledged message ${offset} ${what}`);
  }

  /** Appends with a few appenders for a while, and closes. */
  async #write(life: number, storage: FailingStorage): Promise<void> {
    const log = await Log.open(this.#dir, {
      storage,
      pool: this.#pool,
      segmentBytes: 100_000,
      blockBytes: 32 * 1024,
      prepareBytes: this.#random.chance(0.5) ? 128 * 1024 : 0,
    });
    let number = 0;
    const appender = async (): Promise<void> => {
      for (let i = 0; i < 25; i++) {
        const author = { life, number };
        const count = this.#random.chance(0.3) ? 1 + this.#random.below(20) : 1;
        number += count;
        const first = log.appendBatch(makeBatch(author, count));
        await log.whenDurable(first + count - 1);
        for (let i = 0; i < count; i++) {
          const number = author.number + i;
          this.#acknowledge(first + i, { life, number });
        }
      }
    };
    const outcomes = await Promise.allSettled([
      appender(),
      appender(),
      appender(),
    ]);
    const [flushed] = await Promise.allSettled([log.flush()]);
    outcomes.push(flushed);
    // With room again, nothing that was appended is lost.
    const isFull = flushed.status === "rejected" &&
      flushed.reason instanceof NoSpaceError;
    if (isFull) storage.heal();
    await log.close();
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") throw outcome.reason;
    }
  }

  #acknowledge(offset: number, author: Author): void {
    this.figures.acknowledged++;
    this.#acknowledged.set(offset, author);
  }

  /** Runs a writer and kills it at the moment. */
  async #live(life: number, moment: Moment): Promise<void> {
    const random = this.#random;
    const closeAfter = moment === "closing" ? 1 + random.below(300) : 0;
    const script = new URL("writer_child.ts", import.meta.url).pathname;
    const flags = ["--no-prompt", "--quiet", "--no-lock", "--no-check", "-A"];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", ...flags, script, this.#dir, `${life}`, `${closeAfter}`],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const [trigger, latestMs] = {
      writing: ["open ", 150],
      recovering: ["recover", 12],
      closing: ["close", 6],
    }[moment] as [string, number];
    let killed: ReturnType<typeof setTimeout> | undefined;
    let rest = "";
    const lines = child.stdout.pipeThrough(new TextDecoderStream());
    for await (const text of lines) {
      const all = (rest + text).split("\n");
      rest = all.pop()!;
      for (const line of all) {
        this.#heard(life, line);
        if (killed === undefined && line.startsWith(trigger)) {
          const afterMs = random.below(1000 * latestMs) / 1000;
          killed = setTimeout(() => child.kill("SIGKILL"), afterMs);
        }
      }
    }
    const { signal } = await child.status;
    clearTimeout(killed);
    if (signal !== "SIGKILL") {
      this.figures.wrongs.push(`writer ${life} was not killed, but ended`);
    }
  }

  #heard(life: number, line: string): void {
    const [what, first, second] = line.split(" ");
    if (what === "ack") {
      this.#acknowledge(Number(first), { life, number: Number(second) });
    } else if (what === "truncate") {
      this.#truncated = Math.max(this.#truncated, Number(first));
    }
  }
}
