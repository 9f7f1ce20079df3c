import { drive, driveSync, type Task } from "../base/mod.ts";
import { BufferPool } from "../pool/mod.ts";
import { type StorageFile, TaskFile } from "../storage/mod.ts";
import { type BatchPass, iterate, iterateSync } from "./batch_iterator.ts";
import { checkSegment } from "./checks.ts";
import { MessageBatch } from "./message_batch.ts";
import {
  checkReadOptions,
  ReadLimit,
  type ReadOptions,
} from "./read_options.ts";
import { checkIndexEnd } from "./sealed.ts";
import { SegmentPass } from "./segment_pass.ts";
import type { SegmentFiles } from "./segment_state.ts";

/** What a {@linkcode SegmentReader} is made of. */
export interface SegmentReaderOptions {
  /** The `.log`, open for reading; the reader closes it. */
  log: StorageFile;
  /** The `.index`, open for reading; the reader closes it. */
  index: StorageFile;
  /** The offset of the first message: the number in the files' name. */
  firstOffset: number;
  /** Where blocks come from. @default {BufferPool.default()} */
  pool?: BufferPool;
}

/**
 * Reads one closed segment: every batch is verified before its messages are handed out.
 *
 * @example Reading a segment
 * ```ts
 * import { DiskStorage, SegmentReader, SegmentWriter } from "@basalt/io";
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

  readonly #files: SegmentFiles;
  readonly #pool: BufferPool;

  /** Takes two open files, and closes them at the end. */
  constructor(options: SegmentReaderOptions) {
    checkSegment("read segment", options);
    this.#files = {
      log: new TaskFile(options.log),
      index: new TaskFile(options.index),
    };
    this.#pool = options.pool ?? BufferPool.default();
    this.firstOffset = options.firstOffset;
  }

  /**
   * Reads the messages, in batches that are the caller's to drop.
   *
   * @throws {CorruptSegmentError} At the first batch that is damaged, after all before it were handed
   * out; also at the end if the index describes more than the log holds.
   */
  read(options: ReadOptions = {}): AsyncIterableIterator<MessageBatch> {
    return iterate(this.#pass(options));
  }

  /** The blocking version of {@linkcode SegmentReader.read}. */
  readSync(options: ReadOptions = {}): IterableIterator<MessageBatch> {
    return iterateSync(this.#pass(options));
  }

  #pass(options: ReadOptions): BatchPass {
    checkReadOptions(options);
    const files = this.#files;
    const pool = this.#pool;
    const { firstOffset } = this;
    const limit = new ReadLimit(options);
    let size: number | undefined;
    const pass = new SegmentPass({
      ...files,
      pool,
      firstOffset,
      start: options,
      readAheadBytes: options.readAheadBytes,
      bound: () => size!,
    });
    return {
      *next(): Task<MessageBatch | undefined> {
        size ??= yield* files.log.size();
        if (limit.reached) return undefined;
        const next = yield* pass.next();
        if (next instanceof MessageBatch) return limit.apply(next);
        yield* checkIndexEnd(files, pool, firstOffset, size);
        return undefined;
      },
      close: () => pass.close(),
    };
  }

  /** Closes both files. */
  async close(): Promise<void> {
    await drive(this.#close());
  }

  /** The blocking version of {@linkcode SegmentReader.close}. */
  closeSync(): void {
    driveSync(this.#close());
  }

  *#close(): Task<void> {
    yield* this.#files.log.close();
    yield* this.#files.index.close();
  }

  /** The same as {@linkcode SegmentReader.closeSync}. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** The same as {@linkcode SegmentReader.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
