import { drive, driveSync, step, type Task } from "../../base/mod.ts";
import { MAX_BATCH_BYTES } from "../../codec/mod.ts";
import {
  acquire,
  type AcquireSyncOptions,
  type BufferPool,
  type PooledBuffer,
  PoolLimitError,
} from "../../pool/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import { roundDown, roundUp } from "../layout.ts";

/** Usual size of a block in bytes, with the room before its data. Two blocks fill a huge page. */
const BLOCK_BYTES = 1024 * 1024;

/**
 * Upper bound of a block, in bytes. Blocks grow with the batches, so that little of each must be
 * copied into the next one.
 */
const MAX_BLOCK_BYTES = 8 * 1024 * 1024;

/**
 * Lower bound of a usual block in bytes, whatever the pool's limit. Half of it is room before the
 * data.
 */
const MIN_BLOCK_BYTES = 128 * 1024;

/** A usual block takes at most this part of the pool's limit. */
const BLOCKS_PER_POOL = 8;

/** A block is as long as this many of the largest recent batches. */
const BATCHES_PER_BLOCK = 8;

/**
 * Least room before a block's data, for a batch that the block before has cut.
 *
 * The rest of the block is 240 pages. Without huge pages that is one request, also for devices that
 * take at most 254 pages.
 */
const HEADROOM_BYTES = 64 * 1024;

/**
 * Most room before a block's data.
 *
 * The rest of a larger batch is read by itself.
 */
const MAX_HEADROOM_BYTES = 2 * 1024 * 1024;

/**
 * Upper bound of the first read after a restart, which may find nothing new, and of a read at the
 * pool's limit.
 */
export const RESTART_BYTES: number = 64 * 1024;

/** Bytes of a file that are read ahead by default. */
const READ_AHEAD_BYTES = 8 * 1024 * 1024;

/** Data begins at multiples of this in a block, whatever alignment the file needs. */
const ROOM_ALIGNMENT = 4096;

/** How a {@linkcode BlockReader} reads. */
export interface BlockReaderOptions {
  /** Bytes of blocks that may be read ahead; 0 for none. Default: 8 MiB. */
  readAheadBytes?: number | undefined;
  /**
   * No data is expected from this position. Reads there wait until their bytes are needed, and are
   * small.
   *
   * @default {Infinity}
   */
  aheadBound?: number;
  /**
   * Whether all bytes will be needed. Then reading ahead begins at once, not only after the
   * receiver had to wait.
   *
   * @default {false}
   */
  eager?: boolean;
  /** The length of batches, if it is known before they are read. Default: 0. */
  typicalBytes?: number;
  /** Upper bound of the first read, in bytes, unless a batch needs more. Default: a block. */
  firstBytes?: number;
  /** Ends the wait for memory. */
  signal?: AbortSignal | undefined;
}

/** A range of a file's bytes in one buffer. */
export interface Piece {
  /** The buffer, which the receiver must drop. */
  readonly buffer: PooledBuffer;
  /** Where the bytes begin in it. */
  readonly start: number;
  /** Where they end in it. */
  readonly end: number;
  /** Where they begin in the file. */
  readonly position: number;
  /** The bound of the read that gave them. */
  readonly bound: number;
  /**
   * Whether nothing follows them up to that bound or the end of the file. What is written there
   * later must be read again.
   */
  readonly last: boolean;
}

/** A read, in flight or complete. */
interface Block {
  readonly buffer: PooledBuffer;
  /** Where its bytes begin in the buffer. */
  readonly room: number;
  /** Where they begin in the file. */
  readonly position: number;
  /** How many were requested. */
  readonly length: number;
  readonly bound: number;
  /** How many were read, once it is complete. */
  read: number;
  /** Resolves with the read, and never rejects; `undefined` once it is complete. */
  running: Promise<void> | undefined;
  failure: { reason: unknown } | undefined;
}

/** The plan of a block. */
interface Plan {
  room: number;
  length: number;
}

/**
 * Reads a file from a position, block by block, and ahead of the receiver.
 *
 * The receiver keeps the end of a piece that it could not use, and the next piece begins with it.
 * So every batch is whole in one piece, and nothing is read twice. Kept bytes are copied twice, but
 * they are few: blocks are several times as long as batches, up to 8 MiB.
 *
 * Reading ahead adapts. It begins with nothing, doubles whenever the receiver had to wait, and ends
 * at the pool's limit. Blocking readers do not read ahead. Only a reader that holds no memory waits
 * for some, so readers at a pool's limit cannot block one another.
 */
export class BlockReader {
  readonly #file: TaskFile;
  readonly #pool: BufferPool;
  readonly #unit: number;
  /** Data begins at multiples of this in a block. */
  readonly #alignment: number;
  readonly #limit: number;
  /** Size of a usual block in bytes, with the room before its data. */
  readonly #usualBlock: number;
  /** Upper bound of a block, in bytes. */
  readonly #maxBlock: number;
  readonly #options: BlockReaderOptions;
  /** Where the next piece begins in the file. */
  #position: number;
  /** The bytes there that the receiver kept. */
  #kept: PooledBuffer | undefined;
  /** How many bytes from there the receiver needs, as far as is known. */
  #needed = 0;
  /** The largest recent need: the length of batches that blocks cut. */
  #typical: number;
  /** Reads in the order of the file. */
  #queue: Block[] = [];
  /** Where the next read begins. */
  #next = 0;
  /** Whether the last read went to its bound, or to the end of the file. */
  #cut = false;
  /** Upper bound of the blocks that are read ahead now, in bytes. */
  #window: number;
  #firstBytes: number;
  /** Blocks whose reads are in flight, also dropped ones. */
  readonly #inFlight = new Set<Block>();

  constructor(
    file: TaskFile,
    pool: BufferPool,
    position: number,
    options: BlockReaderOptions = {},
  ) {
    this.#file = file;
    this.#pool = pool;
    this.#options = options;
    this.#unit = file.capabilities.readOffsetAlignment;
    this.#alignment = Math.max(this.#unit, ROOM_ALIGNMENT);
    // A reader that pauses keeps what it read ahead. It must leave memory to a writer of the same
    // pool.
    this.#limit = Math.min(
      options.readAheadBytes ?? READ_AHEAD_BYTES,
      pool.limitBytes / 4,
    );
    const share = pool.limitBytes / BLOCKS_PER_POOL;
    this.#usualBlock = Math.max(
      MIN_BLOCK_BYTES,
      Math.min(BLOCK_BYTES, roundDown(share, ROOM_ALIGNMENT)),
    );
    this.#maxBlock = Math.max(
      this.#usualBlock,
      Math.min(MAX_BLOCK_BYTES, roundDown(share, BLOCK_BYTES)),
    );
    this.#window = options.eager ? this.#limit : 0;
    this.#firstBytes = options.firstBytes ?? Infinity;
    this.#typical = Math.min(options.typicalBytes ?? 0, MAX_HEADROOM_BYTES);
    this.#position = position;
    this.#next = roundDown(position, this.#unit);
  }

  /** Where the next piece begins in the file. */
  get position(): number {
    return this.#position;
  }

  get #keptLength(): number {
    return this.#kept?.length ?? 0;
  }

  /** Goes on at `position`. Nothing that was read before is used. */
  restart(position: number): void {
    this.#needed = 0;
    this.#firstBytes = RESTART_BYTES;
    this.#window = 0;
    this.#moveTo(position);
  }

  /** Returns the next bytes up to `bound`, which must not be below those of earlier pieces. */
  *next(bound: number): Task<Piece> {
    const end = this.#position + this.#keptLength;
    const behind = this.#queue.length > 0 || !this.#cut && end < bound;
    if (!behind) {
      if (this.#kept !== undefined && end >= bound) return this.#rest(bound);
      if (this.#cut) this.#moveTo(this.#position);
    }
    const first = this.#queue[0];
    const kept = this.#keptLength;
    const isCut = first !== undefined && kept > 0 &&
      (kept > first.room || this.#needed > kept + first.length);
    const merged = isCut ? yield* this.#merge(bound) : undefined;
    if (merged !== undefined) return this.#piece(merged);
    const isNew = this.#queue.length === 0;
    if (isNew) {
      let plan = this.#plan(bound);
      let buffer = acquireIfRoom(this.#pool, plan.room + plan.length);
      if (buffer === undefined) {
        // Waiting without any memory holds up no other reader. At the pool's limit, a small block is
        // free sooner and leaves room for others.
        this.#moveTo(this.#position);
        this.#firstBytes = Math.min(this.#firstBytes, RESTART_BYTES);
        plan = this.#plan(bound);
        const { signal } = this.#options;
        const options = signal && { signal };
        buffer = yield* acquire(this.#pool, plan.room + plan.length, options);
      }
      this.#queue.push(this.#block(buffer, plan, bound));
    }
    const head = this.#queue[0]!;
    // This step is no task of its own, because each generator that a batch passes costs time.
    yield {
      kind: "read",
      run: () => this.#fill(bound, isNew),
      runSync: () => head.read = driveSync(this.#read(head)),
    };
    return this.#piece(this.#shift());
  }

  /**
   * Keeps the end of a piece, from `start` in its buffer. The next piece begins with it.
   *
   * @param needed How many bytes from there are needed, as far as is known.
   */
  keep(piece: Piece, start: number, needed: number): void {
    const { buffer, end } = piece;
    const position = piece.position + start - piece.start;
    // A length may be damaged. More bytes than a batch can have are read step by step.
    this.#needed = Math.min(
      needed,
      Math.max(MAX_BATCH_BYTES, 2 * (end - start)),
    );
    if (needed > 0) {
      const before = this.#typical - (this.#typical >> 3);
      this.#typical = Math.max(before, Math.min(needed, MAX_HEADROOM_BYTES));
    }
    if (start === end) {
      this.#position = position;
      return;
    }
    const kept = acquireIfRoom(this.#pool, end - start);
    if (kept === undefined) return this.#moveTo(position);
    kept.bytes.set(buffer.bytes.subarray(start, end));
    this.#position = position;
    this.#kept = kept;
  }

  /** Gives all memory back and waits for the reads in flight. */
  *close(): Task<void> {
    this.#drop();
    yield* step(
      async () => {
        for (const { running } of this.#inFlight) await running;
      },
      () => {},
    );
  }

  #moveTo(position: number): void {
    this.#drop();
    this.#position = position;
    this.#next = roundDown(position, this.#unit);
    this.#cut = false;
  }

  #drop(): void {
    for (const block of this.#queue) block.buffer.drop();
    this.#queue = [];
    this.#forget();
  }

  #forget(): void {
    this.#kept?.drop();
    this.#kept = undefined;
  }

  /** Returns the bytes of a block, with the kept bytes before them. */
  #piece(block: Block): Piece {
    const { buffer, room, position, length, read, bound } = block;
    const start = room + this.#position - position;
    const end = Math.max(start, room + Math.min(read, bound - position));
    const { bytes } = buffer;
    // No byte of an earlier owner may be reached through the buffer.
    if (this.#kept !== undefined) {
      bytes.fill(0, 0, start);
      bytes.set(this.#kept.bytes, start);
      this.#forget();
    } else bytes.fill(0, 0, room);
    bytes.fill(0, room + read);
    if (buffer.capacity > bytes.length) buffer.resize(buffer.capacity);
    const last = read < length || position + length >= bound;
    if (read < length) {
      // The file ended here when this block was read, so later blocks do not count.
      for (const block of this.#queue.splice(0)) block.buffer.drop();
      this.#cut = true;
    }
    const piece = { buffer, start, end, position: this.#position, bound, last };
    this.#position += end - start;
    return piece;
  }

  /** Returns the kept bytes, which nothing follows. */
  #rest(bound: number): Piece {
    const buffer = this.#kept!;
    const position = this.#position;
    const end = Math.min(buffer.length, bound - position);
    // The bytes beyond the bound are dropped, and read again if they are needed.
    if (end < buffer.length) this.#cut = true;
    this.#kept = undefined;
    this.#position += end;
    return { buffer, start: 0, end, position, bound, last: true };
  }

  /** Takes the first block, which must be complete, from the queue. */
  #shift(): Block {
    const block = this.#queue.shift()!;
    if (block.failure === undefined) return block;
    block.buffer.drop();
    throw block.failure.reason;
  }

  /** Waits for the first block, and reads ahead. */
  async #fill(bound: number, isNew: boolean): Promise<void> {
    const head = this.#queue[0]!;
    if (isNew) this.#start(head);
    this.#readAhead(bound);
    if (head.running === undefined) return;
    this.#window = Math.min(
      Math.max(2 * this.#window, BLOCK_BYTES),
      this.#limit,
    );
    await head.running;
  }

  /** Starts reads after those in the queue, as far as memory and the window allow. */
  #readAhead(bound: number): void {
    const end = Math.min(bound, this.#options.aheadBound ?? Infinity);
    let ahead = 0;
    for (const block of this.#queue) ahead += block.room + block.length;
    ahead -= this.#queue[0]!.room + this.#queue[0]!.length;
    // The rest of a larger batch is read by itself.
    if (this.#needed > MAX_HEADROOM_BYTES) return;
    while (!this.#cut && this.#next < end) {
      const plan = this.#plan(bound);
      ahead += plan.room + plan.length;
      if (ahead > this.#window) return;
      const buffer = acquireIfRoom(this.#pool, plan.room + plan.length);
      if (buffer === undefined || buffer.external) {
        buffer?.drop();
        this.#window = 0;
        return;
      }
      const block = this.#block(buffer, plan, bound);
      this.#queue.push(block);
      this.#start(block);
    }
  }

  /**
   * Makes one block that completes the kept bytes: copies blocks of the queue, and reads what is
   * missing after them. If there is no memory for it, it drops everything and returns `undefined`.
   */
  *#merge(bound: number): Task<Block | undefined> {
    const room = roundUp(this.#keptLength, this.#alignment);
    const missing = this.#needed - this.#keptLength;
    const first = this.#queue[0]!;
    let count = 0;
    let length = 0;
    do length += this.#queue[count++]!.length; while (
      count < this.#queue.length && length < missing
    );
    const rest = this.#cut || count < this.#queue.length ? 0 : roundUp(
      Math.max(0, Math.min(missing - length, bound - this.#next)),
      this.#unit,
    );
    const buffer = acquireIfRoom(this.#pool, room + length + rest);
    if (buffer === undefined) {
      // Without any memory, the reader may wait for it.
      this.#moveTo(this.#position);
      return undefined;
    }
    const merged = {
      ...first,
      buffer,
      room,
      length: length + rest,
      bound: rest > 0 ? bound : this.#queue[count - 1]!.bound,
      read: 0,
    };
    try {
      for (; count > 0; count--) {
        const { running } = this.#queue[0]!;
        if (running !== undefined) yield* step(() => running, () => {});
        const block = this.#shift();
        const { room: from, read } = block;
        buffer.bytes.set(
          block.buffer.bytes.subarray(from, from + read),
          room + merged.read,
        );
        merged.read += read;
        block.buffer.drop();
        if (read < block.length) return merged;
      }
      if (rest > 0) {
        const position = this.#next;
        const range = { start: room + length, length: rest };
        merged.read += yield* this.#file.read(buffer, position, range);
        this.#next += rest;
        this.#cut = this.#next >= bound;
      }
      return merged;
    } catch (error) {
      buffer.drop();
      throw error;
    }
  }

  /** Plans the next block. */
  #plan(bound: number): Plan {
    const isAhead = this.#queue.length > 0;
    const room = roundUp(
      isAhead ? Math.max(HEADROOM_BYTES, this.#typical) : this.#keptLength,
      this.#alignment,
    );
    const { aheadBound = Infinity } = this.#options;
    const soft = Math.max(aheadBound - this.#next, RESTART_BYTES);
    let length = Math.min(this.#blockBytes(isAhead) - room, soft);
    if (!isAhead) {
      // The bytes from the beginning of the read to the end of the batch. A large batch is read to
      // its end and no further, because small ones may follow.
      const needed = Math.max(this.#needed, this.#keptLength);
      const batch = this.#position + needed - this.#next;
      length = this.#needed > MAX_HEADROOM_BYTES
        ? batch
        : Math.max(batch, Math.min(length, this.#firstBytes));
    }
    const most = roundUp(bound - this.#next, this.#unit);
    const wanted = roundUp(Math.max(length, this.#unit), this.#unit);
    return { room, length: Math.min(wanted, most) };
  }

  /** Returns the size of the next block in bytes, with its room, if nothing else limits it. */
  #blockBytes(isAhead: boolean): number {
    if (this.#typical <= HEADROOM_BYTES) return this.#usualBlock;
    const most = isAhead
      ? Math.min(this.#maxBlock, this.#limit)
      : this.#maxBlock;
    const wanted = roundUp(BATCHES_PER_BLOCK * this.#typical, BLOCK_BYTES);
    return Math.max(Math.min(wanted, most), this.#typical + this.#usualBlock);
  }

  #block(buffer: PooledBuffer, plan: Plan, bound: number): Block {
    const { room, length } = plan;
    const position = this.#next;
    this.#next += length;
    this.#cut = this.#next >= bound;
    this.#firstBytes = Infinity;
    return {
      buffer,
      room,
      position,
      length,
      bound,
      read: 0,
      running: undefined,
      failure: undefined,
    };
  }

  #read({ buffer, position, room, length }: Block): Task<number> {
    return this.#file.read(buffer, position, { start: room, length });
  }

  #start(block: Block): void {
    const end = (read: number, failure?: Block["failure"]) => {
      block.read = read;
      block.failure = failure;
      block.running = undefined;
      this.#inFlight.delete(block);
    };
    this.#inFlight.add(block);
    block.running = drive(this.#read(block))
      .then((read) => end(read), (reason) => end(0, { reason }));
  }
}

/** Returns memory of a pool; `undefined` if its limit leaves no room. */
export function acquireIfRoom(
  pool: BufferPool,
  bytes: number,
  options?: AcquireSyncOptions,
): PooledBuffer | undefined {
  try {
    return pool.acquireSync(bytes, options);
  } catch (error) {
    if (error instanceof PoolLimitError) return undefined;
    throw error;
  }
}
