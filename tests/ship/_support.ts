/** A destination in memory for the tests of shipping. */
import type { MessageBatch } from "../../lib/segment/mod.ts";
import type { ShippedLog, Sink } from "../../lib/ship/mod.ts";

/** A destination in memory. */
export class MemorySink implements Sink {
  readonly texts: string[] = [];
  readonly batches: number[] = [];
  identity: string | undefined;
  /** Called before a batch is stored. An error that it throws is one of the destination. */
  before: (batch: MessageBatch, signal: AbortSignal) => Promise<void> | void =
    () => {};
  /** Called before `next`. */
  beforeNext: () => Promise<void> | void = () => {};
  /** Called after a batch was stored. It may throw, like an acknowledgement that gets lost. */
  after: () => Promise<void> | void = () => {};
  asked = 0;

  async next(_signal: AbortSignal, log: ShippedLog): Promise<number> {
    this.asked++;
    await this.beforeNext();
    this.identity ??= log.identity;
    return this.texts.length;
  }

  async send(batch: MessageBatch, signal: AbortSignal): Promise<void> {
    await this.before(batch, signal);
    if (batch.firstOffset !== this.texts.length) {
      throw new Error(`${batch.firstOffset} after ${this.texts.length}`);
    }
    this.batches.push(batch.count);
    for (let i = 0; i < batch.count; i++) this.texts.push(batch.text(i));
    await this.after();
  }
}
