/**
 * A log lives through a sequence of steps on a simulated disk; what it appended, acknowledged
 * and may have removed is written down beside it.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { type MessageBatch, PoisonedError } from "../../lib/segment/mod.ts";
import type { Durability, Storage } from "../../lib/storage/mod.ts";
import { SimulatedDisk } from "@basalt/io/testing";
import { DIR, placeOn } from "../log/recovery/_support.ts";
import { FRAME, HEADER, MIB, payload, quiet } from "../log/_support.ts";

/** What may be done to a log, one after the other. */
export type Step =
  | "append singles"
  | "append across"
  | "append batch"
  | "append durable"
  | "flush"
  | "flush durable"
  | "wait"
  | "roll"
  | "truncate"
  | "close"
  | "reopen";

/** All of them. */
export const STEPS: readonly Step[] = [
  "append singles",
  "append across",
  "append batch",
  "append durable",
  "flush",
  "flush durable",
  "wait",
  "roll",
  "truncate",
  "close",
  "reopen",
];

/** A family of scenarios: what the disk and the log are like, and how large the messages are. */
export interface Setting {
  readonly name: string;
  /** The unit that a power cut leaves whole or not. */
  readonly blockBytes: number;
  /** The physical block that the disk names. @default {blockBytes} */
  readonly physicalBlock?: number;
  readonly segmentBytes: number;
  /** Which form of the log's operations is called. @default {"sync"} */
  readonly mode?: "async" | "sync";
  /**
   * Whether only calls that returned acknowledge, and not the log's own durable offset: for
   * storages that lie to it.
   */
  readonly byCalls?: boolean;
  /**
   * How far ahead the log prepares its file; in the background, so by the form that does not
   * block. @default {0}
   */
  readonly prepareBytes?: number;
  /** Whether the device writes the zeros by itself. @default {false} */
  readonly writesZeros?: boolean;
  /**
   * Messages of `append durable`, each awaited: a log prepares its file after four. @default {1}
   */
  readonly durableAppends?: number;
  /** The payloads that a step appends: one by one, or in one batch. */
  lengths(step: Step): readonly number[];
}

/** After this time, in milliseconds, a log flushes by itself. */
const FLUSH_AFTER_MS = 1000;

/** Small segments of `blockBytes`: batches that lie across a block, fill it, or share it. */
export function small(
  blockBytes: number,
  options: Pick<
    Setting,
    "mode" | "prepareBytes" | "writesZeros" | "durableAppends"
  > = {},
): Setting {
  const segmentBytes = Math.max(4096, 4 * blockBytes);
  const lengths: Partial<Record<Step, readonly number[]>> = {
    // Gathered into one batch.
    "append singles": [37, 5],
    "append across": [blockBytes],
    // Two blocks: the first message ends with the first block, if the batch begins with it.
    "append batch": [
      blockBytes - HEADER,
      blockBytes / 2,
      blockBytes / 2 - 2 * FRAME,
    ],
    "append durable": Array.from(
      { length: options.durableAppends ?? 1 },
      () => 11,
    ),
    "roll": [segmentBytes - HEADER],
  };
  return {
    name: `blocks of ${blockBytes}, ${options.mode ?? "sync"}${
      options.prepareBytes === undefined ? "" : ", prepared"
    }${options.writesZeros ? " by the device" : ""}`,
    ...options,
    blockBytes,
    segmentBytes,
    lengths: (step) => lengths[step] ?? [],
  };
}

/**
 * The same with a log that prepares its file: in the background, so by the form that does not
 * block.
 */
export function preparing(blockBytes: number, writesZeros = false): Setting {
  const prepareBytes = 4 * blockBytes;
  return small(blockBytes, {
    mode: "async",
    prepareBytes,
    writesZeros,
    durableAppends: 4,
  });
}

/** A storage between a log and its disk, which changes what the log asks for. */
export interface Between extends Storage {
  /** What is under way. */
  phase: Phase;
  /** Called when it is over, before it counts as done. */
  finish(): void;
}

/**
 * A log of more than two checkpoints: not all of it is scanned when it is opened, and durable
 * offsets are published.
 */
export const LONG: Setting = {
  name: "36 MiB",
  byCalls: true,
  blockBytes: 4 * 1024 * 1024,
  physicalBlock: 4096,
  segmentBytes: 256 * 1024 * 1024,
  lengths: (step) =>
    step === "roll" ? [9, 9, 9, 9].map((mib) => mib * MIB) : [],
};

/**
 * A log whose index has more entries than one of its blocks holds: each message is a batch of
 * its own.
 */
export const INDEXED: Setting = {
  name: "1.5 MiB",
  blockBytes: 512,
  segmentBytes: 2 * MIB,
  lengths: (step) =>
    step === "roll" ? Array.from({ length: 23 }, () => 64 * 1024) : [],
};

/** The setting of this name. */
export function settingNamed(name: string): Setting {
  const blocks = [4096, 512];
  const all = [
    ...blocks.map((bytes) => small(bytes)),
    ...blocks.map((bytes) => preparing(bytes)),
    ...blocks.map((bytes) => preparing(bytes, true)),
  ];
  const found = [...all, LONG, INDEXED].find((setting) =>
    setting.name === name
  );
  if (found === undefined) throw new Error(`No setting is named '${name}'`);
  return found;
}

/** What the log is doing: recovering, or a step. */
export type Phase = "open" | Step;

/** Tells a storage what comes now. */
export function tell(storage: Between | SimulatedDisk, phase: Phase): void {
  if ("phase" in storage) storage.phase = phase;
}

/** Makes the storage that a log sees; the disk itself where nothing is to be between. */
export type Wrap = (disk: SimulatedDisk) => Between | SimulatedDisk;

/** What a log on a disk must hold. */
export interface Expected {
  /**
   * The payload's lengths by offset; the payload of offset `i` is `payload(salt + i, length)`
   * with the salt of its life.
   */
  readonly messages: readonly Message[];
  /** Messages below it are durable. */
  readonly acknowledged: number;
  /** The log begins here at least. */
  readonly firstAtLeast: number;
  /** Messages below it may be gone. */
  readonly removable: number;
}

/** A message as it was appended. */
export interface Message {
  readonly salt: number;
  readonly length: number;
  /** Whether it is the first one of its batch: a batch is there whole or not at all. */
  readonly begins: boolean;
}

/** Salts of the lives of a log: the same sizes, other bytes. */
export const SALTS = [0, 100_000, 200_000];

/** Opens the log of a disk. */
export function openOn(
  disk: SimulatedDisk,
  setting: Setting,
  storage: Storage = disk,
): Log {
  return Log.openSync(DIR, {
    storage,
    pool: placeOn(disk).pool,
    blockBytes: 4096,
    segmentBytes: setting.segmentBytes,
    prepareBytes: setting.prepareBytes ?? 0,
    flushAfterMs: FLUSH_AFTER_MS,
    lockTimeoutMs: 0,
  });
}

/** Appends a message by itself, and tells what it is. */
function appendSingle(log: Log, salt: number, length: number): Message {
  const { nextOffset } = log;
  const before = log.stats().appendedBytes;
  const offset = log.append(payload(salt + nextOffset, length));
  assertEquals(offset, nextOffset, "the next offset");
  const bytes = log.stats().appendedBytes - before;
  // It joins the batch that is open, or begins another one.
  if (bytes === FRAME + length) return { salt, length, begins: false };
  assertEquals(bytes, HEADER + length, "bytes of a message");
  return { salt, length, begins: true };
}

/**
 * What a test does in the place of a log's own methods: a rule that is broken above the storage.
 */
export interface Hooks {
  /** Instead of `log.appendBatch`. */
  appendBatch?(log: Log, payloads: Uint8Array[]): number;
  /** Instead of a durable tail from an offset. */
  tail?(log: Log, from: number): AsyncIterable<MessageBatch>;
}

/** One scenario while it runs. */
export class Scenario {
  readonly setting: Setting;
  /** The disk as it is now: another one after the process was killed. */
  disk: SimulatedDisk;
  readonly #wrap: Wrap;
  readonly #hooks: Hooks;
  #storage: Between | SimulatedDisk;
  #log: Log | undefined;
  readonly #messages: Message[] = [];
  /** What the closed log, or the last one that was killed, had acknowledged. */
  #acknowledged = 0;
  #first = 0;
  #removable = 0;
  /** Messages below it were given to a durable tail. */
  #shown = 0;
  /** The durable tail of the log, until it ends. */
  #tail: Promise<void> = Promise.resolve();
  /** Whether the log failed and takes no more steps. */
  poisoned = false;
  /**
   * What the last process left, if the next one has not begun or did nothing but open it: the
   * disk, and whether it was opened.
   */
  leftBehind: string | undefined;

  constructor(setting: Setting, wrap: Wrap, seed: number, hooks: Hooks = {}) {
    this.setting = setting;
    this.#hooks = hooks;
    const { blockBytes } = setting;
    this.disk = new SimulatedDisk({
      seed,
      blockBytes,
      physicalBlock: setting.physicalBlock ?? blockBytes,
      writesZeros: setting.writesZeros ?? false,
      // The same states at whatever moment they are reached.
      timeStepMicros: 0,
    });
    this.#wrap = wrap;
    this.#storage = wrap(this.disk);
  }

  /** What a power cut must leave now. */
  get expected(): Expected {
    const log = this.#log;
    return {
      messages: this.#messages,
      acknowledged: Math.max(
        this.#acknowledged,
        this.#shown,
        log === undefined || this.setting.byCalls ? 0 : log.durableOffset,
      ),
      firstAtLeast: this.#first,
      removable: this.#removable,
    };
  }

  /** Opens the log. */
  async open(): Promise<void> {
    tell(this.#storage, "open");
    const log = this.#log = openOn(this.disk, this.setting, this.#storage);
    if (!this.#blocking) this.#tail = this.#follow(log).catch(() => {});
    await this.#rest();
  }

  /** Notes what a durable tail is given: it must survive whatever comes. */
  async #follow(log: Log): Promise<void> {
    const { nextOffset: from } = log;
    const tail = this.#hooks.tail?.(log, from) ??
      log.tail({ from, durable: true });
    for await (using batch of tail) {
      if (log === this.#log) this.#shown = batch.nextOffset;
    }
  }

  /** Whether a step can be taken. */
  allows(step: Step): boolean {
    if (this.poisoned) return false;
    if (this.#log === undefined) return step === "reopen";
    if (step === "wait") return !this.#blocking;
    return step !== "truncate" || this.#log.stats().segments > 1;
  }

  /** Takes a step; one that a fault of the disk ends is the last. */
  async take(step: Step): Promise<void> {
    this.leftBehind = undefined;
    try {
      tell(this.#storage, step);
      await this.#take(step, this.#log);
      await this.#rest();
    } catch (error) {
      const { code } = error as { code?: string };
      const failed = step === "reopen" && code === "EIO";
      if (!failed && !(error instanceof PoisonedError)) throw error;
      this.#acknowledged = this.expected.acknowledged;
      this.poisoned = true;
    }
  }

  /** Ends it, and gives its memory back. */
  async end(): Promise<void> {
    const log = this.#log;
    this.#log = undefined;
    // It may be poisoned, or its disk gone.
    await log?.close().catch(() => {});
    await this.#tail;
  }

  get #blocking(): boolean {
    return this.setting.mode !== "async";
  }

  /** Lets what goes on in the background begin and end. */
  async #rest(): Promise<void> {
    if (!this.#blocking) await quiet(this.disk);
  }

  async #take(step: Step, log: Log | undefined): Promise<void> {
    const lengths = this.setting.lengths(step);
    switch (step) {
      case "append singles":
      case "append across":
        for (const length of lengths) this.#append(log!, length);
        return;
      case "append batch":
        return this.#appendBatch(log!, lengths);
      case "append durable":
        for (const length of lengths) {
          this.#append(log!, length);
          if (this.#blocking) log!.flushSync();
          else await log!.whenDurable(log!.nextOffset - 1);
          this.#acknowledged = this.#messages.length;
        }
        return;
      case "roll":
        for (const length of lengths) this.#appendBatch(log!, [length]);
        return await this.#flush(log!, "none");
      case "flush":
        return await this.#flush(log!, "none");
      case "flush durable":
        await this.#flush(log!, "data");
        this.#acknowledged = this.#messages.length;
        return;
      case "wait":
        await this.disk.delay(FLUSH_AFTER_MS);
        await this.#rest();
        assertEquals(log!.durableOffset, log!.nextOffset, "flushed in time");
        this.#acknowledged = this.#messages.length;
        return;
      case "truncate":
        return await this.#truncate(log!);
      case "close":
        if (this.#blocking) log!.closeSync();
        else await log!.close();
        this.#acknowledged = this.#messages.length;
        this.#log = undefined;
        this.#leave(this.disk, "closed");
        return;
      case "reopen":
        return await this.#reopen(log);
    }
  }

  #append(log: Log, length: number): void {
    this.#messages.push(appendSingle(log, SALTS[0]!, length));
  }

  #appendBatch(log: Log, lengths: readonly number[]): void {
    const next = this.#messages.length;
    const payloads = lengths.map((length, i) =>
      payload(SALTS[0]! + next + i, length)
    );
    const first = this.#hooks.appendBatch?.(log, payloads) ??
      log.appendBatch(payloads);
    assertEquals(first, next, "the next offset");
    for (const [i, length] of lengths.entries()) {
      this.#messages.push({ salt: SALTS[0]!, length, begins: i === 0 });
    }
  }

  async #flush(log: Log, durability: Durability): Promise<void> {
    if (this.#blocking) log.flushSync({ durability });
    else await log.flush({ durability });
  }

  async #truncate(log: Log): Promise<void> {
    const { nextOffset } = log;
    this.#removable = nextOffset;
    const first = this.#blocking
      ? log.truncateBeforeSync(nextOffset)
      : await log.truncateBefore(nextOffset);
    if ("finish" in this.#storage) this.#storage.finish();
    this.#first = first;
  }

  /** A closed log is opened; an open one is killed first, and what was in its memory is lost. */
  async #reopen(log: Log | undefined): Promise<void> {
    if (log !== undefined) {
      this.#acknowledged = this.expected.acknowledged;
      const written = log.writtenOffset;
      const next = this.disk.kill();
      await this.end();
      this.disk = next;
      this.#messages.splice(written);
      this.onDisk(next);
      this.#storage = this.#wrap(next);
    }
    this.#leave(this.disk, "opened");
    await this.open();
  }

  #leave(disk: SimulatedDisk, how: "closed" | "opened"): void {
    this.leftBehind = [
      how,
      disk.hash(),
      disk.crashHash(),
      disk.timeMicros,
    ].join();
  }

  /** Called with the disk that the next process finds. */
  onDisk: (disk: SimulatedDisk) => void = () => {};
}
