/**
 * Records the storage operations of a log, and checks that every acknowledgement comes after the
 * write or sync that makes it true.
 */
import type { FrozenBuffer, PooledBuffer } from "../../../lib/pool/mod.ts";
import type {
  Durability,
  Storage,
  StorageFile,
  WriteOptions,
} from "../../../lib/storage/mod.ts";
import { PassingFile, PassingStorage } from "../_passing_storage.ts";
import { batchesOf } from "../_support.ts";

/** A write or a sync of a `.log`. Starts and ends are numbered in their order. */
interface Traced {
  readonly path: string;
  readonly began: number;
  /** `undefined` while it is in flight, and if it failed. */
  ended: number | undefined;
  readonly durable: boolean;
  /** Of a write: the position of its first byte, and what was written. */
  readonly position?: number;
  readonly bytes?: Uint8Array;
}

/** A storage that records writes and syncs of `.log` files. */
export class TracedStorage extends PassingStorage {
  readonly #trace: Traced[] = [];
  #clock = 0;

  constructor(inner: Storage) {
    super(inner);
  }

  protected override wrap(file: StorageFile): StorageFile {
    return new TracedFile(this, file);
  }

  /** Records a write, or a sync if there is nothing to write. */
  begin(
    path: string,
    durable: boolean,
    written?: { position: number; bytes: Uint8Array },
  ): Traced | undefined {
    if (!path.endsWith(".log")) return undefined;
    const began = ++this.#clock;
    const traced = { path, began, ended: undefined, durable, ...written };
    this.#trace.push(traced);
    return traced;
  }

  end(traced: Traced | undefined): void {
    if (traced !== undefined) traced.ended = ++this.#clock;
  }

  /**
   * Returns the offsets of messages that are durable by the writes and syncs up to now. All bytes
   * of each were in a completed durable write, or covered by a sync that began after their write.
   */
  durableOffsets(): Set<number> {
    const offsets = new Set<number>();
    for (const path of new Set(this.#trace.map((each) => each.path))) {
      const { bytes, covered } = this.#durableBytes(path);
      for (const { offset, start, end } of messagesIn(bytes)) {
        if (covered.subarray(start, end).every((each) => each === 1)) {
          offsets.add(offset);
        }
      }
    }
    return offsets;
  }

  /**
   * Returns the bytes of a file that are durable, with zeros elsewhere, and which bytes those are.
   */
  #durableBytes(path: string): { bytes: Uint8Array; covered: Uint8Array } {
    const own = this.#trace.filter((each) =>
      each.path === path && each.ended !== undefined
    );
    const syncs = own.filter(({ bytes, durable }) =>
      bytes === undefined && durable
    );
    const writes = own.filter((write) =>
      write.bytes !== undefined &&
      (write.durable || syncs.some((sync) => sync.began > write.ended!))
    ).sort((a, b) => a.ended! - b.ended!);
    const length = Math.max(
      0,
      ...writes.map(({ position, bytes }) => position! + bytes!.length),
    );
    const all = new Uint8Array(length);
    const covered = new Uint8Array(length);
    for (const { position, bytes } of writes) {
      all.set(bytes!, position!);
      covered.fill(1, position!, position! + bytes!.length);
    }
    return { bytes: all, covered };
  }
}

class TracedFile extends PassingFile {
  readonly #storage: TracedStorage;

  constructor(storage: TracedStorage, inner: StorageFile) {
    super(inner);
    this.#storage = storage;
  }

  override async write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = {},
  ): Promise<number> {
    const traced = this.#began(buffer, position, options);
    const written = await super.write(buffer, position, options);
    this.#storage.end(traced);
    return written;
  }
  override writeSync(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = {},
  ): number {
    const traced = this.#began(buffer, position, options);
    const written = super.writeSync(buffer, position, options);
    this.#storage.end(traced);
    return written;
  }
  override async sync(
    durability?: Exclude<Durability, "none">,
  ): Promise<void> {
    const traced = this.#storage.begin(this.path, true);
    await super.sync(durability);
    this.#storage.end(traced);
  }
  override syncSync(durability?: Exclude<Durability, "none">): void {
    const traced = this.#storage.begin(this.path, true);
    super.syncSync(durability);
    this.#storage.end(traced);
  }

  #began(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    { start = 0, length = buffer.length - start, durability = "none" }:
      WriteOptions,
  ): Traced | undefined {
    const bytes = buffer.bytes.slice(start, start + length);
    const written = { position, bytes };
    return this.#storage.begin(this.path, durability !== "none", written);
  }
}

/**
 * Decodes the messages in the bytes of a `.log`, each with the bytes of its batch, up to an
 * incomplete batch.
 */
function* messagesIn(
  bytes: Uint8Array,
): Generator<{ offset: number; start: number; end: number }> {
  for (const { offset, count, position, end } of batchesOf(bytes)) {
    for (let i = 0; i < count; i++) {
      yield { offset: offset + i, start: position, end };
    }
  }
}
