import { checkInteger } from "../base/mod.ts";
import { OffsetOutOfRangeError } from "../log/mod.ts";
import type { MessageBatch } from "../segment/mod.ts";
import { Backoff } from "./_backoff.ts";
import { batchesOf } from "./_batches.ts";
import { publish, type ShipEvent } from "./_events.ts";
import { Rate } from "./_rate.ts";
import type { ShippableLog, ShippingCursor } from "./shippable_log.ts";
import { ShippingError } from "./shipping_error.ts";
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

const DEFAULT_MAX_BYTES = 8 * 1024 * 1024;
/** Bytes of one `send`: progress is seen and remembered after each. */
const MAX_SEND_BYTES = 1024 * 1024;
/**
 * How often the destination may be further than what was sent to it. The first time, it may be the
 * last message of a shipper that has ended.
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

/** A failure of the destination, which is followed by another attempt. */
class SinkFailure {
  readonly error: Error;
  constructor(error: unknown) {
    this.error = error instanceof Error ? error : new Error(String(error));
  }
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
  readonly #backoff = new Backoff();
  readonly #rate = new Rate();
  readonly #done: Promise<void>;
  /** Whether the caller learns by `done` what ended it. */
  #isDoneWatched = false;
  #state: ShippingStats["state"] = "shipping";
  /** The first offset that the destination does not have, as it said last. */
  #next: number | undefined;
  /** The offset after the last message that was sent, whether acknowledged or not. */
  #sent = 0;
  #foreignWrites = 0;
  #cursor: ShippingCursor | undefined;
  #shippedMessages = 0;
  #shippedBytes = 0;
  #retries = 0;
  #lastError: Error | undefined;
  readonly #warnings = new Set<string>();

  /** @ignore Use {@linkcode ship}. */
  constructor(log: ShippableLog, sink: Sink, options: ShipOptions) {
    this.#log = log;
    this.#sink = sink;
    this.#options = options;
    this.#done = this.#run().finally(() => this.#state = "ended");
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
    const next = this.#next;
    const { durableOffset } = this.#log;
    return {
      state: this.#state,
      nextOffset: next,
      lagMessages: next === undefined || durableOffset === undefined
        ? undefined
        : Math.max(0, durableOffset - next),
      shippedMessages: this.#shippedMessages,
      shippedBytes: this.#shippedBytes,
      messagesPerSecond: this.#rate.perSecond,
      retries: this.#retries,
      lastError: this.#lastError,
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
    return this.#next === undefined ? undefined : Math.max(0, end - this.#next);
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
    while (!this.#closing.signal.aborted) {
      try {
        const from = await this.#start(shipped, cursor);
        return await this.#shipFrom(from, shipped, cursor);
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        if (!(error instanceof SinkFailure)) throw error;
        await this.#failed(error.error);
      }
    }
  }

  /** Notes a failure and waits before the next attempt, or for the end. */
  async #failed(error: Error): Promise<void> {
    this.#lastError = error;
    this.#retries++;
    this.#state = "retrying";
    this.#tell("failed", { error });
    await this.#backoff.wait(this.#closing.signal);
  }

  /** Asks the destination where to go on, and refuses what is not a continuation. */
  async #start(shipped: ShippedLog, cursor: ShippingCursor): Promise<number> {
    const { signal } = this.#closing;
    const next = await ofSink(() => this.#sink.next(signal, shipped));
    // The cursor remembers lazily.
    const acknowledged = Math.max(cursor.position, this.#next ?? 0);
    const trustsCursor = this.#options.resumeFrom === "cursor";
    const from = trustsCursor ? Math.max(next, acknowledged) : next;
    if (from === 0 && acknowledged > 0) this.#refuseEmpty(acknowledged);
    if (this.#next !== undefined && next > this.#sent) {
      this.#refuseForeign(next);
    }
    await this.#refuseOutside(from);
    this.#sent = this.#next = from;
    if (from > cursor.position) await cursor.commit(from, { durable: false });
    this.#tell("started");
    return from;
  }

  async #shipFrom(
    from: number,
    shipped: ShippedLog,
    cursor: ShippingCursor,
  ): Promise<void> {
    const { follow = true, maxBytes = DEFAULT_MAX_BYTES } = this.#options;
    const { signal } = this.#closing;
    const options = {
      from,
      follow,
      maxBytes: Math.min(maxBytes, MAX_SEND_BYTES),
      readAheadBytes: maxBytes,
      signal,
    };
    // A position that may be all there is must not be older than what was acknowledged.
    const durable = this.#options.resumeFrom === "cursor";
    this.#state = "shipping";
    for await (const batch of batchesOf(this.#log, options)) {
      const { nextOffset, count, byteLength } = batch;
      await this.#send(batch, shipped);
      this.#next = nextOffset;
      this.#backoff.reset();
      this.#rate.add(count);
      this.#shippedMessages += count;
      this.#shippedBytes += byteLength;
      await cursor.commit(nextOffset, { durable });
    }
  }

  async #send(batch: MessageBatch, shipped: ShippedLog): Promise<void> {
    this.#sent = batch.nextOffset;
    const { signal } = this.#closing;
    await ofSink(() => this.#sink.send(batch, signal, shipped));
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
    publish({
      log: this.#log.path,
      cursor: this.#options.cursor,
      action,
      nextOffset: this.#next,
      error,
      warning,
    });
  }

  #refuseEmpty(position: number): never {
    const { cursor } = this.#options;
    throw new ShippingError(
      "empty",
      `Cannot ship log '${this.#log.path}': the destination has no message, but cursor '${cursor}' is at offset ${position}. It was emptied, made again, or never had the first messages of the log; resumeFrom: "cursor" (--resume-from-cursor) goes on at ${position}`,
    );
  }

  #refuseForeign(next: number): void {
    if (this.#foreignWrites++ < FOREIGN_WRITES) return;
    throw new ShippingError(
      "fenced",
      `Cannot ship log '${this.#log.path}': another shipper writes to the destination, which has offsets up to ${
        next - 1
      }; this one sent up to ${this.#sent - 1}`,
    );
  }

  /** Refuses an offset that the log does not hold and that is not its next one. */
  async #refuseOutside(from: number): Promise<void> {
    const { path } = this.#log;
    try {
      const batches = this.#log.read({ from, count: 1, readAheadBytes: 0 });
      for await (const batch of batches) batch.drop();
    } catch (error) {
      if (!(error instanceof OffsetOutOfRangeError)) throw error;
      const { firstOffset } = error;
      throw from < firstOffset
        ? new ShippingError(
          "gap",
          `Cannot ship log '${path}': the destination needs offset ${from} next, and the log begins at ${firstOffset}`,
          { cause: error },
        )
        : new ShippingError(
          "ahead",
          `Cannot ship log '${path}': the destination has offsets up to ${
            from - 1
          }, which the log does not have: ${error.message}`,
          { cause: error },
        );
    }
  }
}

/** Tells failures of the destination from those of the log. */
async function ofSink<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw error instanceof ShippingError ? error : new SinkFailure(error);
  }
}
