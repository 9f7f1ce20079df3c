/** `Deno.FsFile` as a reference: a file that is appended to and synced. */
import type { Store } from "./store.ts";

/** A file whose writes are awaited until they are durable. */
export interface SyncedFile extends Store {
  /** Writes and syncs without blocking the thread. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Empties the file, so that long runs do not fill the disk. */
  clear(): void;
}

/** Opens a file in a directory. */
export function openSyncedFile(dir: string): Promise<SyncedFile> {
  const file = Deno.openSync(`${dir}/file`, { append: true, create: true });
  return Promise.resolve({
    name: "Deno.FsFile",
    settings: "writeSync and syncDataSync, or write and syncData",
    put(payload) {
      for (let at = 0; at < payload.length;) {
        at += file.writeSync(payload.subarray(at));
      }
      file.syncDataSync();
    },
    async write(bytes) {
      await writeWhole(file, bytes);
      await file.syncData();
    },
    clear() {
      file.truncateSync(0);
      file.syncSync();
    },
    [Symbol.asyncDispose]() {
      file.close();
      return Promise.resolve();
    },
  });
}

/** Writes all bytes, because one call may write a part. */
export async function writeWhole(
  file: Deno.FsFile,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await file.write(bytes.subarray(at));
  }
}

/**
 * A file to which several producers append. Their writes take turns, and a sync covers all bytes
 * that were written before it began.
 */
export class SharedFile {
  readonly #file: Deno.FsFile;
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> | undefined;
  #writtenBytes = 0;
  #durableBytes = 0;

  /** Takes ownership of the file. */
  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** Number of bytes that a sync has covered. */
  get durableBytes(): number {
    return this.#durableBytes;
  }

  /** Appends bytes in the order of the calls. Resolves when they are durable. */
  async append(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const written = this.#writing.then(() => writeWhole(this.#file, bytes));
    this.#writing = written;
    await written;
    const end = this.#writtenBytes += bytes.length;
    while (this.#durableBytes < end) {
      this.#syncing ??= this.#sync();
      await this.#syncing;
    }
  }

  async #sync(): Promise<void> {
    const end = this.#writtenBytes;
    try {
      await this.#file.syncData();
      this.#durableBytes = end;
    } finally {
      this.#syncing = undefined;
    }
  }

  /** Closes the file. */
  close(): void {
    this.#file.close();
  }
}
