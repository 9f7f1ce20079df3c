import { BufferPool } from "../pool/mod.ts";
import { checkPool } from "../segment/mod.ts";
import { DiskStorage, type Storage, TaskStorage } from "../storage/mod.ts";
import type { Place } from "./_files.ts";

/**
 * With a smaller pool a copy would wait forever for memory: it has blocks of the source, of two new
 * files, and of those that it compares.
 */
const NEEDED_BYTES = 32 * 1024 * 1024;

/** Progress of a transfer. */
export interface TransferProgress {
  /** Bytes of the source that were read, checked and converted. */
  bytes: number;
  /** Bytes of the source's `.log` files. */
  totalBytes: number;
}

/** Options that an export and an import share. */
export interface TransferOptions {
  /**
   * Where blocks come from. Its limit must be at least 32 MiB, more for longer batches.
   *
   * @default {BufferPool.default()}
   */
  pool?: BufferPool;
  /** Where the files are. Default: `new DiskStorage()`. */
  storage?: Storage;
  /**
   * Read and check everything and report what would be done, but change nothing. Existing files of
   * the target are compared by size only. Default: `false`.
   */
  dryRun?: boolean;
  /** Called with the progress after every block. */
  onProgress?: (progress: TransferProgress) => void;
}

/** Returns where the files are and where blocks come from. */
export function placeOf(action: string, options: TransferOptions): Place {
  const { pool = BufferPool.default() } = options;
  checkPool(action, pool);
  const { limitBytes } = pool.stats();
  if (limitBytes < NEEDED_BYTES) {
    throw new RangeError(
      `Cannot ${action} as 'pool' must have a limit of at least ${NEEDED_BYTES} bytes: received ${limitBytes}`,
    );
  }
  const storage = options.storage ?? new DiskStorage({ pool });
  if (typeof storage.openSync === "function") {
    return { pool, storage: new TaskStorage(storage) };
  }
  throw new TypeError(
    `Cannot ${action} as 'storage' must be a Storage, such as a DiskStorage`,
  );
}
