import type { Task } from "../base/mod.ts";
import { INDEX_ENTRY_BYTES } from "../codec/mod.ts";
import type { BufferPool, PooledBuffer } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { roundDown, roundUp } from "./layout.ts";
import type { MessageBatch } from "./message_batch.ts";

/** Bytes of the index that are read at a time. */
const BLOCK_BYTES = 256 * 1024;

/** Entries, one behind the other, that are not what the log says. */
export interface WrongEntries {
  /** The number of the first. */
  first: number;
  /** How many. */
  count: number;
}

/** Compares an `.index` with the messages of its log, entry by entry, in the order of the messages. */
export class IndexCheck implements Disposable {
  readonly #index: TaskFile;
  readonly #baseOffset: number;
  readonly #size: number;
  readonly #sparse: boolean;
  readonly #buffer: PooledBuffer;
  #position = -1;
  #valid = 0;

  /**
   * @param size Bytes of the index; entries behind it are not compared.
   * @param sparse Whether an entry of zeros is one that is not written yet, or that a crash left unwritten.
   */
  constructor(
    index: TaskFile,
    pool: BufferPool,
    baseOffset: number,
    size: number,
    sparse: boolean,
  ) {
    this.#index = index;
    this.#baseOffset = baseOffset;
    this.#size = size;
    this.#sparse = sparse;
    const unit = index.capabilities.readOffsetAlignment;
    this.#buffer = pool.acquireSync(roundUp(BLOCK_BYTES, unit));
  }

  /** The entries of the batch's messages that are wrong, in runs. */
  *compare(batch: MessageBatch): Task<WrongEntries[]> {
    const wrong: WrongEntries[] = [];
    for (let i = 0; i < batch.count; i++) {
      const number = batch.offset(i) - this.#baseOffset;
      if ((number + 1) * INDEX_ENTRY_BYTES > this.#size) break;
      const view = yield* this.#entry(number);
      if (this.#sparse && view !== undefined && isZero(view)) continue;
      const timestamp = batch.timestamp(i);
      if (
        view !== undefined && view.getUint32(0, true) === number &&
        view.getUint32(4, true) === batch.position + batch.starts[i + 1]! &&
        view.getUint32(8, true) === timestamp % 2 ** 32 &&
        view.getUint32(12, true) === Math.floor(timestamp / 2 ** 32)
      ) continue;
      const last = wrong.at(-1);
      if (last !== undefined && last.first + last.count === number) {
        last.count++;
      } else wrong.push({ first: number, count: 1 });
    }
    return wrong;
  }

  *#entry(number: number): Task<DataView | undefined> {
    const at = number * INDEX_ENTRY_BYTES;
    yield* this.#load(at);
    const start = at - this.#position;
    if (start + INDEX_ENTRY_BYTES > this.#valid) return undefined;
    const { bytes } = this.#buffer;
    return new DataView(
      bytes.buffer,
      bytes.byteOffset + start,
      INDEX_ENTRY_BYTES,
    );
  }

  *#load(at: number): Task<void> {
    const start = roundDown(at, this.#buffer.length);
    if (start === this.#position) return;
    this.#position = -1;
    this.#valid = yield* this.#index.read(this.#buffer, start);
    this.#position = start;
  }

  /** Gives the block back. */
  [Symbol.dispose](): void {
    this.#buffer.drop();
  }
}

function isZero(entry: DataView): boolean {
  for (let at = 0; at < INDEX_ENTRY_BYTES; at += 4) {
    if (entry.getUint32(at, true) !== 0) return false;
  }
  return true;
}
