/**
 * Runs a sequence of steps with a log on a simulated disk, and records what it appended,
 * acknowledged and may have removed.
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

/** What may be done to a log. */
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

/** All steps. */
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

/** A family of scenarios: properties of the disk and the log, and the sizes of messages. */
export interface Setting {
  readonly name: string;
  /** The unit that a power cut leaves either old or new, in bytes. */
  readonly blockBytes: number;
  /** The physical block that the disk reports. @default {blockBytes} */
  readonly physicalBlock?: number;
  readonly segmentBytes: number;
  /** Whether async or sync calls are made. @default {"sync"} */
  readonly mode?: "async" | "sync";
  /**
   * Whether only calls that returned acknowledge messages, and not the log's durable offset. For
   * storages that lie to the log.
   */
  readonly byCalls?: boolean;
  /**
   * How far ahead the log prepares its file, in bytes. It prepares in the background, so only with
   * async calls. @default {0}
   */
  readonly prepareBytes?: number;
  /** Whether the device writes zeros by itself. @default {false} */
  readonly writesZeros?: boolean;
  /**
   * Number of messages of `append durable`, each awaited. A log prepares its file after four.
   * @default {1}
   */
  readonly durableAppends?: number;
  /** Returns the lengths of the payloads that a step appends, one by one or in one batch. */
  lengths(step: Step): readonly number[];
}

/** Time after which the log flushes without a call, in milliseconds. */
const FLUSH_AFTER_MS = 1000;

/** Returns a setting with small segments, whose batches cross a block, fill it, or share it. */
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
    // Two blocks. The first message ends with the first block, if the batch begins with it.
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

/** Returns the same setting with a log that prepares its file, and therefore with async calls. */
export function preparing(blockBytes: number, writesZeros = false): Setting {
  const prepareBytes = 4 * blockBytes;
  return small(blockBytes, {
    mode: "async",
    prepareBytes,
    writesZeros,
    durableAppends: 4,
  });
}

/** A storage between a log and its disk, which changes the log's operations. */
export interface Between extends Storage {
  /** What the log is doing. */
  phase: Phase;
  /** Called at the end of a step, before it counts as done. */
  finish(): void;
}

/**
 * A log of more than two checkpoints: opening scans only a part of it, and durable offsets are
 * published.
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
 * A log whose index has more entries than one of its blocks holds. Each message is a batch of its
 * own.
 */
export const INDEXED: Setting = {
  name: "1.5 MiB",
  blockBytes: 512,
  segmentBytes: 2 * MIB,
  lengths: (step) =>
    step === "roll" ? Array.from({ length: 23 }, () => 64 * 1024) : [],
};

/** Returns the setting with this name. */
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

/** Passes the current phase to a storage. */
export function tell(storage: Between | SimulatedDisk, phase: Phase): void {
  if ("phase" in storage) storage.phase = phase;
}

/** Makes the storage that a log sees: one in between, or the disk itself. */
export type Wrap = (disk: SimulatedDisk) => Between | SimulatedDisk;

/** What a log on a disk must hold. */
export interface Expected {
  /** Its messages by offset. The payload of offset `i` is `payload(salt + i, length)`. */
  readonly messages: readonly Message[];
  /** Messages below this offset are durable. */
  readonly acknowledged: number;
  /** The log begins at this offset or later. */
  readonly firstAtLeast: number;
  /** Messages below this offset may be removed. */
  readonly removable: number;
}

/** A message that was appended. */
export interface Message {
  readonly salt: number;
  readonly length: number;
  /** Whether it is the first one of its batch. A batch is there whole or not at all. */
  readonly begins: boolean;
}

/** One salt for each opening after a crash: the same sizes, different bytes. */
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

/** Appends a message by itself, and returns its description. */
function appendSingle(log: Log, salt: number, length: number): Message {
  const { nextOffset } = log;
  const before = log.stats().appendedBytes;
  const offset = log.append(payload(salt + nextOffset, length));
  assertEquals(offset, nextOffset, "the next offset");
  const bytes = log.stats().appendedBytes - before;
  // The message joins the open batch, or begins another one.
  if (bytes === FRAME + length) return { salt, length, begins: false };
  assertEquals(bytes, HEADER + length, "bytes of a message");
  return { salt, length, begins: true };
}

/** Replacements of a log's methods, for rules that are broken above the storage. */
export interface Hooks {
  /** Replaces `log.appendBatch`. */
  appendBatch?(log: Log, payloads: Uint8Array[]): number;
  /** Replaces a durable tail from an offset. */
  tail?(log: Log, from: number): AsyncIterable<MessageBatch>;
}

/** One scenario while it runs. */
export class Scenario {
  readonly setting: Setting;
  /** The current disk. It is replaced when the process is killed. */
  disk: SimulatedDisk;
  readonly #wrap: Wrap;
  readonly #hooks: Hooks;
  #storage: Between | SimulatedDisk;
  #log: Log | undefined;
  readonly #messages: Message[] = [];
  /** What the log had acknowledged when it was last closed or killed. */
  #acknowledged = 0;
  #first = 0;
  #removable = 0;
  /** Messages below this offset were given to a durable tail. */
  #shown = 0;
  /** The durable tail of the log, until it ends. */
  #tail: Promise<void> = Promise.resolve();
  /** Whether the log failed and takes no more steps. */
  poisoned = false;
  /**
   * What the last process left, while the next one has not begun or did no more than open it: the
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
      // The same states, at whatever time they are reached.
      timeStepMicros: 0,
    });
    this.#wrap = wrap;
    this.#storage = wrap(this.disk);
  }

  /** What a power cut now must leave. */
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

  /** Notes what a durable tail is given. It must survive every crash. */
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

  /** Takes a step. A step that a fault of the disk ends is the last one. */
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

  /** Ends the scenario, and returns its memory. */
  async end(): Promise<void> {
    const log = this.#log;
    this.#log = undefined;
    // The log may be poisoned, or its disk gone.
    await log?.close().catch(() => {});
    await this.#tail;
  }

  get #blocking(): boolean {
    return this.setting.mode !== "async";
  }

  /** Lets background work begin and end. */
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

  /** Opens a closed log. An open log is killed first, and loses what was in its memory. */
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
