/** A log in a directory whose writers are killed, and what must be true of it. */
import { Log } from "../../lib/log/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";
import { SeededRandom } from "@basalt/io/testing";
import { type Author, authorOf } from "./message.ts";

/** When a writer is killed. */
export type Moment = "writing" | "recovering" | "closing";

/** What the kills amounted to. */
export interface KillFigures {
  /** Kills, by what the writer was doing. */
  kills: Record<Moment, number>;
  /** Messages that a writer reported as durable. */
  acknowledged: number;
  /** Of these, those that were not there, or not as appended. */
  lost: number;
  /** Messages that were compared byte by byte, repeatedly. */
  compared: number;
  /** The longest time until a killed owner's log was open again, in milliseconds. */
  slowestOpenMs: number;
  /** What was found wrong, in words. */
  faults: string[];
}

/** Every so many openings the whole log is compared, otherwise what came since. */
const WHOLE_EVERY = 25;

/** Kills writers of one log, and checks what they leave. */
export class KilledLog {
  readonly figures: KillFigures = {
    kills: { writing: 0, recovering: 0, closing: 0 },
    acknowledged: 0,
    lost: 0,
    compared: 0,
    slowestOpenMs: 0,
    faults: [],
  };

  readonly #dir: string;
  readonly #random: SeededRandom;
  readonly #pool = new BufferPool({ limitBytes: 256 * 1024 * 1024 });
  /** The authors of acknowledged messages, by offset. */
  readonly #acknowledged = new Map<number, Author>();
  /** Messages below may be gone. */
  #truncated = 0;
  /** Messages below were compared when they were younger. */
  #compared = 0;
  #life = 0;
  #openings = 0;

  constructor(dir: string, seed: number) {
    this.#dir = dir;
    this.#random = new SeededRandom(seed);
  }

  /** One life of a writer and its end; the log is then opened and compared, or left to the next writer as it is. */
  async cycle(): Promise<void> {
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

  /** Opens the log as the next owner would, and compares what it holds. */
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

  /** Ends the use of memory. */
  close(): void {
    this.#pool.close();
  }

  async #compareWith(log: Log, whole: boolean): Promise<void> {
    const { figures } = this;
    const { firstOffset, nextOffset } = log;
    if (firstOffset > this.#truncated) {
      figures.faults.push(
        `the log begins at ${firstOffset}, truncated to ${this.#truncated} at most`,
      );
    }
    const from = whole ? firstOffset : Math.max(firstOffset, this.#compared);
    let offset = from;
    for await (using batch of log.read({ from })) {
      for (let i = 0; i < batch.count; i++, offset++) {
        const found = authorOf(batch.payload(i));
        figures.compared++;
        if (found === undefined) {
          figures.faults.push(`message ${offset} is none that was appended`);
        }
        const expected = this.#acknowledged.get(offset);
        if (expected === undefined) continue;
        if (found?.life === expected.life && found.number === expected.number) {
          continue;
        }
        this.#lost(offset, `is not the one that was acknowledged`);
      }
    }
    if (offset !== nextOffset) {
      figures.faults.push(
        `reading ended at ${offset}, the log at ${nextOffset}`,
      );
    }
    for (const acknowledged of this.#acknowledged.keys()) {
      if (acknowledged >= nextOffset) this.#lost(acknowledged, "is gone");
      else if (acknowledged < firstOffset) {
        this.#acknowledged.delete(acknowledged);
      }
    }
    // What was found is durable now, whoever appended it.
    this.#compared = nextOffset;
  }

  #lost(offset: number, what: string): void {
    this.figures.lost++;
    this.#acknowledged.delete(offset);
    this.figures.faults.push(`acknowledged message ${offset} ${what}`);
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
      this.figures.faults.push(`writer ${life} ended by itself`);
    }
  }

  #heard(life: number, line: string): void {
    const [what, first, second] = line.split(" ");
    if (what === "ack") {
      this.figures.acknowledged++;
      this.#acknowledged.set(Number(first), { life, number: Number(second) });
    } else if (what === "truncate") {
      this.#truncated = Math.max(this.#truncated, Number(first));
    }
  }
}
