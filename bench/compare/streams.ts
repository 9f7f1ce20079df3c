/** The streams of the workload: logs, and files of Deno. */
import { type BufferPool, Log, type MessageBatch } from "../../mod.ts";
import type { Context } from "./context.ts";
import { appendWhenReady } from "./logs.ts";
import { SharedFile } from "./references/synced_file.ts";
import { BATCH, PAYLOAD_BYTES, type Stream } from "./workload.ts";

/** Options of a stream besides its producers. */
export interface StreamOptions {
  readonly batchLogBytes: number;
  /** Number of consumers that follow the stream. @default {0} */
  readonly consumers?: number;
  /** The pool of a log's blocks. @default {BufferPool.default()} */
  readonly pool?: BufferPool;
}

/** Opens a stream at a path. */
export type OpenStream = (
  path: string,
  options: StreamOptions,
) => Promise<Stream>;

/**
 * Opens a log as a stream.
 *
 * Its consumers are durable tails, which verify what they give. They read the first byte of each
 * payload.
 */
export async function logStream(
  dir: string,
  { batchLogBytes, consumers = 0, pool }: StreamOptions,
): Promise<Stream> {
  const log = await Log.open(dir, pool === undefined ? {} : { pool });
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x5a);
  const batch: Uint8Array[] = new Array(BATCH).fill(payload);
  const tails = Array.from(
    { length: consumers },
    () => new TailConsumer(log.tail({ durable: true })),
  );
  return {
    batchLogBytes,
    consumers: tails.map((tail) => () => tail.consume()),
    async produce(accepted) {
      const first = await appendWhenReady(log, batch, accepted);
      await log.whenDurable(first + BATCH - 1);
    },
    async close() {
      for (const tail of tails) await tail.close();
      await log.close();
    },
  };
}

/** Receives from a tail, a batch of the workload at a time. */
class TailConsumer {
  readonly #tail: AsyncIterableIterator<MessageBatch>;
  #wanted = 0;
  #received = 0;
  #touched = 0;

  constructor(tail: AsyncIterableIterator<MessageBatch>) {
    this.#tail = tail;
  }

  async consume(): Promise<void> {
    this.#wanted += BATCH;
    // A tail gives what has arrived meanwhile, which may be less or more than a batch.
    while (this.#received < this.#wanted) {
      const next = await this.#tail.next();
      if (next.done) throw new Error(`The tail ended at ${this.#received}`);
      using messages = next.value;
      for (let i = 0; i < messages.count; i++) {
        this.#touched += messages.payload(i)[0]!;
      }
      this.#received += messages.count;
    }
  }

  async close(): Promise<void> {
    await this.#tail.return?.();
    checkTouched(this.#touched, this.#received);
  }
}

function checkTouched(touched: number, messages: number): void {
  if (touched === messages * 0x5a) return;
  throw new Error(`${messages} messages were read, with other bytes`);
}

/**
 * Opens a file as a stream of the same number of bytes.
 *
 * Its consumers read up to its durable end, from the page cache. They read a byte of each message.
 */
export async function fileStream(
  path: string,
  { batchLogBytes, consumers = 0 }: StreamOptions,
): Promise<Stream> {
  const file = new SharedFile(
    await Deno.open(path, { append: true, createNew: true }),
  );
  const batch = new Uint8Array(batchLogBytes).fill(0x5a);
  const durable = new Signal();
  const readers: FileConsumer[] = [];
  for (let i = 0; i < consumers; i++) {
    const reader = await Deno.open(path, { read: true });
    readers.push(new FileConsumer(reader, file, durable, batchLogBytes));
  }
  return {
    batchLogBytes,
    consumers: readers.map((reader) => () => reader.consume()),
    async produce(accepted) {
      const appended = file.append(batch);
      accepted();
      await appended;
      durable.raise();
    },
    close() {
      file.close();
      for (const reader of readers) reader.close();
      return Promise.resolve();
    },
  };
}

/** Reads a file as far as its writer reports it as durable. */
class FileConsumer {
  readonly #reader: Deno.FsFile;
  readonly #file: SharedFile;
  readonly #durable: Signal;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #batches = 0;
  #touched = 0;

  constructor(
    reader: Deno.FsFile,
    file: SharedFile,
    durable: Signal,
    batchBytes: number,
  ) {
    this.#reader = reader;
    this.#file = file;
    this.#durable = durable;
    this.#bytes = new Uint8Array(batchBytes);
  }

  async consume(): Promise<void> {
    const bytes = this.#bytes;
    const end = ++this.#batches * bytes.length;
    while (this.#file.durableBytes < end) await this.#durable.raised();
    for (let at = 0; at < bytes.length;) {
      at += await this.#reader.read(bytes.subarray(at)) ?? 0;
    }
    const step = Math.floor(bytes.length / BATCH);
    for (let i = 0; i < BATCH; i++) {
      const message = bytes.subarray(i * step, (i + 1) * step);
      this.#touched += message[0]!;
    }
  }

  close(): void {
    this.#reader.close();
    checkTouched(this.#touched, this.#batches * BATCH);
  }
}

/** Wakes all waiting consumers. */
class Signal {
  #next = Promise.withResolvers<void>();

  raise(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }

  raised(): Promise<void> {
    return this.#next.promise;
  }
}

/** Opens streams in a directory of their own, and removes them after the body. */
export async function withStreams<Result>(
  context: Context,
  count: number,
  open: OpenStream,
  options: StreamOptions,
  body: (streams: readonly Stream[]) => Promise<Result>,
): Promise<Result> {
  const dir = context.path("streams");
  Deno.mkdirSync(dir);
  const streams: Stream[] = [];
  try {
    for (let i = 0; i < count; i++) {
      streams.push(await open(`${dir}/${i}`, options));
    }
    return await body(streams);
  } finally {
    for (const stream of streams) await stream.close();
    Deno.removeSync(dir, { recursive: true });
  }
}
