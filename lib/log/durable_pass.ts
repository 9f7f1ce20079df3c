import type { Task } from "../base/mod.ts";
import type { BatchPass, MessageBatch, ReadOptions } from "../segment/mod.ts";

/** What a {@linkcode DurablePass} is made of. */
export interface DurablePassOptions {
  /** What to read. */
  options: ReadOptions;
  /** Makes a pass over what is in the files. */
  passOf(options: ReadOptions): BatchPass;
  /** Returns the offset below which messages are durable now. */
  durableOffset(): Task<number>;
  /** Waits before the next look; left out if the reading ends where durability ends. */
  wait: ((offset: number, attempt: number) => Task<boolean>) | undefined;
}

/**
 * Reads what is durable of a log that another process may be writing.
 *
 * What lies after the durable offset is dropped and read again later: until then, another message
 * may have taken its place.
 */
export class DurablePass implements BatchPass {
  readonly #options: DurablePassOptions;
  #pass: BatchPass | undefined;
  /** The offset to go on from. */
  #offset: number | undefined;
  /** Messages below it are durable. */
  #durableOffset = 0;
  /** What is still wanted. */
  #count: number;
  #bytes: number;
  #isFirst = true;

  constructor(options: DurablePassOptions) {
    this.#options = options;
    const { count = Infinity, maxBytes = Infinity } = options.options;
    this.#count = count;
    this.#bytes = maxBytes;
    this.#offset = options.options.from;
    // Makes the first pass now, because it checks the options.
    this.#pass = options.passOf(options.options);
  }

  /** The next batch, which is the caller's; `undefined` at the end. */
  *next(): Task<MessageBatch | undefined> {
    for (let attempt = 0;; attempt++) {
      if (this.#isOver) return undefined;
      const offset = this.#offset ?? 0;
      if (offset >= this.#durableOffset) {
        this.#durableOffset = yield* this.#options.durableOffset();
      }
      if (offset < this.#durableOffset) {
        const batch = yield* this.#read();
        if (batch !== "later") return batch;
        continue;
      }
      const { wait } = this.#options;
      if (wait === undefined || !(yield* wait(offset, attempt))) {
        return undefined;
      }
    }
  }

  get #isOver(): boolean {
    return this.#count <= 0 || this.#bytes <= 0 && !this.#isFirst;
  }

  /** The next batch, cut to what is durable; `"later"` if nothing of it is. */
  *#read(): Task<MessageBatch | undefined | "later"> {
    this.#pass ??= this.#options.passOf({
      ...this.#options.options,
      ...this.#offset !== undefined && { from: this.#offset },
      ...this.#count < Infinity && { count: this.#count },
      ...this.#bytes < Infinity && { maxBytes: this.#bytes },
    });
    const batch = yield* this.#pass.next();
    if (batch === undefined) return undefined;
    const { firstOffset, count } = batch;
    // The log was closed when that was asked; a writer may have opened it since.
    if (this.#durableOffset === Infinity) {
      this.#durableOffset = yield* this.#options.durableOffset();
    }
    const durable = Math.min(count, this.#durableOffset - firstOffset);
    if (durable <= 0) {
      batch.drop();
      yield* this.#stopAt(firstOffset);
      return "later";
    }
    if (durable < count) yield* this.#stopAt(firstOffset + durable);
    else this.#offset = batch.nextOffset;
    const taken = durable < count ? batch.narrow(0, durable) : batch;
    this.#isFirst = false;
    this.#count -= taken.count;
    this.#bytes -= taken.byteLength;
    return taken;
  }

  /** Ends the pass: what comes after an offset is read again. */
  *#stopAt(offset: number): Task<void> {
    this.#offset = offset;
    yield* this.close();
  }

  /** Closes what is being read. */
  *close(): Task<void> {
    const pass = this.#pass;
    this.#pass = undefined;
    if (pass !== undefined) yield* pass.close();
  }
}
