import { drive, driveSync, type Task } from "../../base/mod.ts";
import { BufferPool } from "../../pool/mod.ts";
import { type StorageFile, TaskFile } from "../../storage/mod.ts";
import {
  BatchIterator,
  type BatchSource,
  iterateSync,
  type LogIterator,
} from "./batch_iterator.ts";
import { checkSegment } from "../checks.ts";
import { MessageBatch } from "./message_batch.ts";
import { corruption } from "./corrupt_segment_error.ts";
import { type ReadOptions, Selection } from "./read_options.ts";
import { checkIndexEnd } from "../recover/sealed.ts";
import { seek } from "./seek.ts";
import { SegmentScan } from "./segment_scan.ts";
import type { SegmentFiles } from "../segment_state.ts";

/** Options of a {@linkcode SegmentReader}. */
export interface SegmentReaderOptions {
  /** The `.log`, open for reading. The reader closes it. */
  log: StorageFile;
  /** The `.index`, open for reading. The reader closes it. */
  index: StorageFile;
  /** The offset of the first message: the number in the files' name. */
  firstOffset: number;
  /** Where blocks come from. Default: `BufferPool.default()`. */
  pool?: BufferPool;
}

/**
 * Reads one closed segment, and verifies every batch before it returns its messages.
 *
 * @example Reading a segment
 * ```ts
 * import { DiskStorage } from "@basalt/io/storage";
 * import { SegmentReader, SegmentWriter } from "@basalt/io/segment";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * const storage = new DiskStorage();
 * const open = (name: string) => storage.openSync(`${dir}/${name}`, { write: true, create: true });
 *
 * const writer = SegmentWriter.createSync({
 *   log: open("0.log"),
 *   index: open("0.index"),
 *   firstOffset: 0,
 * });
 * writer.append("hello");
 * writer.closeSync();
 *
 * using reader = new SegmentReader({ log: open("0.log"), index: open("0.index"), firstOffset: 0 });
 * for (using batch of reader.readSync()) {
 *   assertEquals(new TextDecoder().decode(batch.payload(0)), "hello");
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class SegmentReader implements Disposable, AsyncDisposable {
  /** The offset of the first message. */
  readonly firstOffset: number;

  readonly #segment: SegmentFiles;

  /** Makes a reader of two open files, which it will close. */
  constructor(options: SegmentReaderOptions) {
    checkSegment("read segment", options);
    const { firstOffset, pool = BufferPool.default() } = options;
    this.firstOffset = firstOffset;
    this.#segment = {
      log: new TaskFile(options.log),
      index: new TaskFile(options.index),
      firstOffset,
      pool,
    };
  }

  /**
   * Reads the messages in batches. A batch is valid until the next one is requested, unless kept.
   *
   * @throws {CorruptSegmentError} At the first damaged batch, after all messages before it; also at
   *   the end, if the index describes more than the log holds.
   */
  read(options: ReadOptions = {}): LogIterator<MessageBatch> {
    return new BatchIterator(new SegmentSource(this.#segment, options));
  }

  /** Sync version of {@linkcode SegmentReader.read}. */
  readSync(options: ReadOptions = {}): IterableIterator<MessageBatch> {
    return iterateSync(new SegmentSource(this.#segment, options));
  }

  /** Closes both files. */
  async close(): Promise<void> {
    await drive(this.#close());
  }

  /** Sync version of {@linkcode SegmentReader.close}. */
  closeSync(): void {
    driveSync(this.#close());
  }

  *#close(): Task<void> {
    yield* this.#segment.log.close();
    yield* this.#segment.index.close();
  }

  /** Does what {@linkcode SegmentReader.closeSync} does. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** Does what {@linkcode SegmentReader.close} does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Reads a closed segment, up to the size of its `.log` at the start. */
class SegmentSource implements BatchSource {
  readonly #segment: SegmentFiles;
  readonly #selection: Selection;
  #scan: SegmentScan | undefined;
  #size = 0;

  constructor(segment: SegmentFiles, options: ReadOptions) {
    this.#segment = segment;
    this.#selection = new Selection(options);
  }

  *next(): Task<MessageBatch | undefined> {
    const { log } = this.#segment;
    while (!this.#selection.isOver) {
      const scan = this.#scan ??= yield* this.#open();
      const next = yield* scan.next(this.#size);
      if (!(next instanceof MessageBatch)) {
        // The file may have become shorter.
        const isEarly = next.reason !== "end" || next.position < this.#size;
        if (isEarly) throw corruption(log.path, next);
        yield* checkIndexEnd(this.#segment, this.#size);
        return undefined;
      }
      const selected = this.#selection.select(next);
      if (selected !== undefined) return selected;
    }
    return undefined;
  }

  *close(): Task<void> {
    if (this.#scan !== undefined) yield* this.#scan.close();
  }

  *#open(): Task<SegmentScan> {
    const { log, pool } = this.#segment;
    const { options } = this.#selection;
    const { readAheadBytes } = options;
    const bound = this.#size = yield* log.size();
    const start = yield* seek(this.#segment, options, { bound });
    return new SegmentScan(log, pool, start, { readAheadBytes });
  }
}
