import { checkInteger } from "../base/mod.ts";
import { OffsetOutOfRangeError } from "../log/mod.ts";
import { nodeModule } from "../native/mod.ts";
import { Attempts, callPeer } from "./_attempts.ts";
import { batchesOf } from "./_batches.ts";
import { Rate } from "./_rate.ts";
import type { ShippableLog, ShippingCursor } from "./shippable_log.ts";
import { ShippingError, type ShippingErrorReason } from "./shipping_error.ts";
import type { ShippedLog, Sink } from "./sink.ts";

/** How to ship a log. */
export interface ShipOptions {
  /** The name of the cursor that stores what was acknowledged; retention stops at it. */
  cursor: string;
  /**
   * Bytes of messages to read ahead. One `send` gets at most that and at most 1 MiB, or one larger
   * message. Default: 8 MiB.
   */
  maxBytes?: number;
  /**
   * Continue with messages that become durable later. With `false`, shipping ends at the end of the
   * log.
   * @default {true}
   */
  follow?: boolean;
  /**
   * `"cursor"` continues at the cursor if the destination has lost messages that it acknowledged,
   * by retention or because it was made again. Messages below the cursor are not shipped again; the
   * last ones above it may be stored twice after a crash.
   *
   * @default {"destination"}
   */
  resumeFrom?: "destination" | "cursor";
}

/** The figures and the state of shipping. */
export interface ShippingStats {
  /** What it does now. */
  state: "shipping" | "retrying" | "ended";
  /** Messages below this offset are at the destination; `undefined` before it has responded. */
  nextOffset: number | undefined;
  /**
   * Durable messages that are not at the destination yet; `undefined` before it has responded, and
   * if another process writes the log ({@linkcode Shipping.lag} tells).
   */
  lagMessages: number | undefined;
  /** Messages that the destination acknowledged. */
  shippedMessages: number;
  /** Their bytes: frame headers, payloads and user headers. */
  shippedBytes: number;
  /** Messages acknowledged per second, as a mean over the last ten seconds. */
  messagesPerSecond: number;
  /** Failures that were retried. */
  retries: number;
  /** The last failure of the destination, even if it has recovered since. */
  lastError: Error | undefined;
  /** Warnings of the destination for the operator. */
  warnings: string[];
}

/** An event of shipping, on the channel `basalt:ship`. */
export interface ShipEvent {
  /** The directory of the log. */
  log: string;
  /** The name of the cursor. */
  cursor: string;
  /**
   * `"started"`: the destination has told where to continue; `"failed"`: a retry follows;
   * `"warned"`: a warning for the operator; `"ended"`: it is over, by an error if there is one.
   */
  action: "started" | "failed" | "warned" | "ended";
  /** Messages below this offset are at the destination; `undefined` before it has responded. */
  nextOffset: number | undefined;
  /** Why it failed or ended, if so. */
  error: Error | undefined;
  /** The warning for the operator, if there is one. */
  warning: string | undefined;
}

const DEFAULT_MAX_BYTES = 8 * 1024 * 1024;
/** Upper bound of the bytes of one `send`. Progress is reported and stored after each. */
const MAX_SEND_BYTES = 1024 * 1024;
/**
 * The destination may be ahead of what was sent to it this often. The first time, the cause may be
 * the last batch of an earlier shipper.
 */
const FOREIGN_WRITES = 1;

/**
 * Ships a log's durable messages to a destination in order, exactly once, until it is closed.
 *
 * A slow destination slows down reading, never appending: one batch is in flight, and at most
 * `maxBytes` are read ahead. Failures are retried, with delays that double up to ten seconds, and
 * are published on the channel `basalt:ship` of `node:diagnostics_channel`.
 *
 * @param log The log, or a reader of a log that another process writes.
 * @throws {TypeError} If the cursor's name is missing.
 * @throws {RangeError} If `maxBytes` is not an integer from 1.
 *
 * @example Shipping into memory
 * ```ts
 * import { Log } from "@basalt/io";
 * import { ship, type Sink } from "@basalt/io/ship";
 * import { assertEquals } from "@std/assert";
 *
 * const stored: string[] = [];
 * const sink: Sink = {
 *   next: () => Promise.resolve(stored.length),
 *   send(batch) {
 *     for (let i = 0; i < batch.count; i++) stored.push(batch.text(i));
 *     return Promise.resolve();
 *   },
 * };
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   await log.appendDurable("hello");
 *   await using shipping = ship(log, sink, { cursor: "memory", follow: false });
 *   await shipping.done;
 *   assertEquals(stored, ["hello"]);
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function ship(
  log: ShippableLog,
  sink: Sink,
  options: ShipOptions,
): Shipping {
  const { cursor, maxBytes = DEFAULT_MAX_BYTES } = options;
  if (typeof cursor !== "string" || cursor === "") {
    throw new TypeError(
      `Cannot ship log '${log.path}' as 'cursor' must name a cursor: received ${
        Deno.inspect(cursor)
      }`,
    );
  }
  checkInteger(`ship log '${log.path}'`, "maxBytes", maxBytes, 1);
  return new Shipping(log, sink, options);
}

/**
 * The shipping of a log to a destination. Made by {@linkcode ship}.
 *
 * @example Monitoring and closing it
 * ```ts
 * import type { Shipping } from "@basalt/io/ship";
 *
 * async function shipFor(shipping: Shipping, ms: number): Promise<void> {
 *   await new Promise((resolve) => setTimeout(resolve, ms));
 *   console.log(shipping.stats().lagMessages);
 *   await shipping.close();
 * }
 * ```
 */
export class Shipping implements AsyncDisposable {
  readonly #log: ShippableLog;
  readonly #sink: Sink;
  readonly #options: ShipOptions;
  readonly #closing = new AbortController();
  readonly #attempts = new Attempts(this.#closing.signal);
  readonly #rate = new Rate();
  readonly #warnings = new Set<string>();
  readonly #stats: Omit<
    ShippingStats,
    "lagMessages" | "messagesPerSecond" | "warnings"
  > = {
    state: "shipping",
    nextOffset: undefined,
    shippedMessages: 0,
    shippedBytes: 0,
    retries: 0,
    lastError: undefined,
  };
  readonly #done: Promise<void>;
  /** Whether the caller learns by `done` what ended it. */
  #isDoneWatched = false;
  /** The offset after the last message that was sent, whether acknowledged or not. */
  #sent = 0;
  #foreignWrites = 0;
  #cursor: ShippingCursor | undefined;

  /** @ignore Use {@linkcode ship}. */
  constructor(log: ShippableLog, sink: Sink, options: ShipOptions) {
    this.#log = log;
    this.#sink = sink;
    this.#options = options;
    this.#done = this.#run().finally(() => this.#stats.state = "ended");
    this.#done.then(
      () => this.#tell("ended"),
      (error) => this.#tell("ended", { error }),
    );
  }

  /**
   * Resolves when shipping has ended: it or the log was closed, or the end was reached without
   * `follow`. Otherwise rejects with the error that ended it.
   */
  get done(): Promise<void> {
    this.#isDoneWatched = true;
    return this.#done;
  }

  /** Returns a snapshot of the figures. */
  stats(): ShippingStats {
    const { nextOffset } = this.#stats;
    const { durableOffset } = this.#log;
    return {
      ...this.#stats,
      lagMessages: nextOffset === undefined || durableOffset === undefined
        ? undefined
        : Math.max(0, durableOffset - nextOffset),
      messagesPerSecond: this.#rate.perSecond,
      warnings: [...this.#warnings],
    };
  }

  /**
   * Returns how many durable messages are not at the destination yet; `undefined` before it has
   * responded.
   */
  async lag(): Promise<number | undefined> {
    const { lagMessages } = this.stats();
    const cursor = this.#cursor;
    if (lagMessages !== undefined || cursor === undefined) return lagMessages;
    const { position } = cursor;
    const end = position + (await cursor.lag()).messages;
    const { nextOffset } = this.#stats;
    return nextOffset === undefined ? undefined : Math.max(0, end - nextOffset);
  }

  /**
   * Ends the shipping and closes its cursor. A batch in flight may still arrive. Closing twice does
   * nothing.
   *
   * @throws The error that ended the shipping before.
   */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#done;
  }

  /**
   * Does what {@linkcode Shipping.close} does, but does not repeat the error of
   * {@linkcode Shipping.done}.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.close();
    } catch (error) {
      if (!this.#isDoneWatched) throw error;
    }
  }

  async #run(): Promise<void> {
    const { path } = this.#log;
    const shipped: ShippedLog = {
      identity: await this.#log.identity,
      path,
      warn: (text) => this.#warn(text),
    };
    const { cursor: name } = this.#options;
    await using cursor = await this.#log.cursor(name, { from: "first" });
    this.#cursor = cursor;
    await this.#attempts.run(async () => {
      await this.#start(shipped, cursor);
      await this.#sendAll(shipped, cursor);
    }, (failure) => {
      const error = failure instanceof Error
        ? failure
        : new Error(String(failure));
      this.#stats.lastError = error;
      this.#stats.retries++;
      this.#stats.state = "retrying";
      this.#tell("failed", { error });
    });
  }

  /** Asks the destination where to continue, and refuses an offset that does not fit. */
  async #start(shipped: ShippedLog, cursor: ShippingCursor): Promise<void> {
    const { signal } = this.#closing;
    const next = await callPeer(() => this.#sink.next(signal, shipped));
    const before = this.#stats.nextOffset;
    // The cursor may be older: it is written lazily.
    const acknowledged = Math.max(cursor.position, before ?? 0);
    const trustsCursor = this.#options.resumeFrom === "cursor";
    const from = trustsCursor ? Math.max(next, acknowledged) : next;
    if (from === 0 && acknowledged > 0) {
      throw this.#refusal(
        "empty",
        `the destination has no message, but cursor '${this.#options.cursor}' is at offset ${acknowledged}. It was emptied, made again, or never had the first messages of the log; resumeFrom: "cursor" (--resume-from-cursor) continues at ${acknowledged}`,
      );
    }
    const isForeign = before !== undefined && next > this.#sent;
    if (isForeign && this.#foreignWrites++ >= FOREIGN_WRITES) {
      throw this.#refusal(
        "fenced",
        `another shipper writes to the destination, which has offsets up to ${
          next - 1
        }; this one sent up to ${this.#sent - 1}`,
      );
    }
    await this.#refuseOutside(from);
    this.#sent = this.#stats.nextOffset = from;
    if (from > cursor.position) await cursor.commit(from, { durable: false });
    this.#tell("started");
  }

  /** Refuses an offset that the log does not hold and that is not its next one. */
  async #refuseOutside(from: number): Promise<void> {
    try {
      const batches = this.#log.read({ from, count: 1, readAheadBytes: 0 });
      for await (const batch of batches) batch.drop();
    } catch (error) {
      if (!(error instanceof OffsetOutOfRangeError)) throw error;
      const { firstOffset, message } = error;
      const isGap = from < firstOffset;
      throw this.#refusal(
        isGap ? "gap" : "ahead",
        isGap
          ? `the destination needs offset ${from} next, and the log begins at ${firstOffset}`
          : `the destination has offsets up to ${
            from - 1
          }, which the log does not have: ${message}`,
        { cause: error },
      );
    }
  }

  #refusal(
    reason: ShippingErrorReason,
    why: string,
    options?: ErrorOptions,
  ): ShippingError {
    const message = `Cannot ship log '${this.#log.path}': ${why}`;
    return new ShippingError(reason, message, options);
  }

  async #sendAll(shipped: ShippedLog, cursor: ShippingCursor): Promise<void> {
    const { follow = true, maxBytes = DEFAULT_MAX_BYTES } = this.#options;
    const { signal } = this.#closing;
    const options = {
      from: this.#sent,
      follow,
      maxBytes: Math.min(maxBytes, MAX_SEND_BYTES),
      readAheadBytes: maxBytes,
      signal,
    };
    // Where the cursor decides, it must not be older than what was acknowledged.
    const durable = this.#options.resumeFrom === "cursor";
    const stats = this.#stats;
    stats.state = "shipping";
    for await (const batch of batchesOf(this.#log, options)) {
      const { nextOffset, count, byteLength } = batch;
      this.#sent = nextOffset;
      await callPeer(() => this.#sink.send(batch, signal, shipped));
      stats.nextOffset = nextOffset;
      stats.shippedMessages += count;
      stats.shippedBytes += byteLength;
      this.#attempts.progress();
      this.#rate.add(count);
      await cursor.commit(nextOffset, { durable });
    }
  }

  #warn(warning: string): void {
    if (this.#warnings.has(warning)) return;
    this.#warnings.add(warning);
    this.#tell("warned", { warning });
  }

  #tell(
    action: ShipEvent["action"],
    { error, warning }: { error?: Error; warning?: string } = {},
  ): void {
    const event: ShipEvent = {
      log: this.#log.path,
      cursor: this.#options.cursor,
      action,
      nextOffset: this.#stats.nextOffset,
      error,
      warning,
    };
    const { channel } = nodeModule("node:diagnostics_channel");
    channel("basalt:ship").publish(event);
  }
}
