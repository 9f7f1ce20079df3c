import type { MessageBatch } from "../../segment/mod.ts";

/** What surrounds a {@linkcode CursorIteration}. */
export interface IterationOwner {
  /** Begins to read at the cursor's position: at once if that is known to be right. */
  open():
    | AsyncIterableIterator<MessageBatch>
    | Promise<AsyncIterableIterator<MessageBatch>>;
  /** Called with the offset after each batch that is handed out. */
  saw(nextOffset: number): void;
  /** Called once, at the end. */
  ended(): void;
}

const DONE = { done: true, value: undefined } as const;

/**
 * One reading by a cursor: batches from its position on, and from its new position after a seek.
 *
 * It can be left at any time: leaving ends the wait for more.
 */
export class CursorIteration implements AsyncIterableIterator<MessageBatch> {
  readonly #owner: IterationOwner;
  readonly #signal: AbortSignal | undefined;
  #batches: AsyncIterableIterator<MessageBatch> | undefined;
  /** The call before, as a promise that never rejects, until it is over: one runs at a time. */
  #before: Promise<unknown> | undefined;
  #isOver = false;
  /** How often the cursor was moved. */
  moves = 0;

  constructor(owner: IterationOwner, signal: AbortSignal | undefined) {
    this.#owner = owner;
    this.#signal = signal;
  }

  /** Returns the next batch, which is the caller's. */
  next(): Promise<IteratorResult<MessageBatch, undefined>> {
    const next = this.#before?.then(() => this.#next()) ?? this.#next();
    const before = next.catch(() => {}).then(() => {
      if (this.#before === before) this.#before = undefined;
    });
    this.#before = before;
    return next;
  }

  async #next(): Promise<IteratorResult<MessageBatch, undefined>> {
    try {
      while (!this.#isOver) {
        this.#signal?.throwIfAborted();
        const { moves } = this;
        let batches = this.#batches;
        if (batches === undefined) {
          const opening = this.#owner.open();
          batches = opening instanceof Promise ? await opening : opening;
          this.#batches = batches;
        }
        const isLeft = () => this.#isOver || this.moves !== moves;
        if (isLeft()) {
          await this.#drop();
          continue;
        }
        const next = await batches.next();
        if (isLeft()) {
          if (!next.done) next.value.drop();
          continue;
        }
        if (next.done) break;
        this.#owner.saw(next.value.nextOffset);
        return next;
      }
    } catch (error) {
      this.#end();
      await this.#drop();
      throw error;
    }
    this.#end();
    return DONE;
  }

  /** Goes on from the cursor's new position. */
  move(): void {
    this.moves++;
    // Ends its wait; the call that waits opens another one.
    this.#drop();
  }

  /** Ends the reading. */
  async return(): Promise<IteratorResult<MessageBatch, undefined>> {
    this.#end();
    await this.#drop();
    await this.#before;
    return DONE;
  }

  async #drop(): Promise<void> {
    const batches = this.#batches;
    this.#batches = undefined;
    await batches?.return?.();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.ended();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
