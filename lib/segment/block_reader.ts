import { step, type Task } from "../base/mod.ts";
import { type BufferPool, type PooledBuffer, PoolLimit } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { roundDown, roundUp } from "./layout.ts";

/** Bytes of a block in memory, the room in front of its data included: two of them fill a huge page. */
const BLOCK_BYTES = 1024 * 1024;

/**
 * Room in front of a block's data, for the cut-off message at the end of the block before.
 *
 * What is left of the block is 240 pages: one request also for devices that take 254 pages at most, where memory has no huge pages.
 */
const HEADROOM_BYTES = 64 * 1024;

/** Room and block grow with the messages, up to this; the rest of a larger message is read by itself, to its place. */
const MAX_HEADROOM_BYTES = 2 * 1024 * 1024;
const MAX_BLOCK_BYTES = 8 * 1024 * 1024;

/** What the first read after a restart asks for at most: there may be nothing new. */
export const RESTART_BYTES: number = 64 * 1024;

/** How many bytes of a file are read ahead if nothing else was asked for. */
export const READ_AHEAD_BYTES: number = 8 * 1024 * 1024;

/** Memory starts at multiples of this in a block, whatever the file asks for. */
const ROOM_ALIGNMENT = 4096;

/** How a {@linkcode BlockReader} reads. */
export interface BlockReaderOptions {
  /** Bytes of blocks that may be read ahead; 0 for none. @default {8 MiB} */
  readAheadBytes?: number;
  /** Behind this position nothing is expected: reads wait until their bytes are needed, and are small. @default {Infinity} */
  aheadBound?: number;
  /** Whether all of it will be wanted, for certain: reads are ahead from the start, not only once the receiver has waited. @default {false} */
  eager?: boolean;
  /** What the first read asks for at most, but for a larger message. @default {1 MiB} */
  firstBytes?: number;
  /** Ends the wait for memory. */
  signal?: AbortSignal | undefined;
}

/** Bytes of a file that lie behind one another in one buffer. */
export interface Piece {
  /** The buffer, which is the receiver's. */
  readonly buffer: PooledBuffer;
  /** Where the bytes begin in it. */
  readonly start: number;
  /** Where they end in it. */
  readonly end: number;
  /** Where they begin in the file. */
  readonly position: number;
  /** Up to which position the file was to be read when they were. */
  readonly bound: number;
  /** Whether nothing lies behind them, up to that bound or the end of the file: what comes after that must be read anew. */
  readonly last: boolean;
}

/** A read, in flight or complete. */
interface Block {
  readonly buffer: PooledBuffer;
  /** Where its bytes begin in the buffer. */
  readonly room: number;
  /** Where they begin in the file. */
  readonly position: number;
  /** How many were asked for. */
  readonly length: number;
  readonly bound: number;
  /** How many there were; once it is complete. */
  read: number;
  /** Settles with the read, and never rejects; `undefined` once it is complete. */
  running: Promise<void> | undefined;
  failure: { reason: unknown } | undefined;
}

/** Where a block goes. */
interface Plan {
  room: number;
  length: number;
}

/**
 * Reads a file from a position on, block by block, and ahead of whoever takes them.
 *
 * What the receiver could not use of a piece, it has kept: it lies in front of the next piece's own bytes. So every message is whole in one piece, and nothing is read twice.
 *
 * Reading ahead adapts: it begins with nothing, doubles whenever the receiver had to wait, ends where memory does, and blocking readers have none. Only a reader that holds no memory waits for some, so readers at a pool's limit cannot block one another.
 */
export class BlockReader {
  readonly #file: TaskFile;
  readonly #pool: BufferPool;
  readonly #unit: number;
  readonly #limit: number;
  readonly #aheadBound: number;
  readonly #signal: AbortSignal | undefined;
  /** Where the next piece begins in the file. */
  #position: number;
  /** The bytes there that were kept. */
  #kept: PooledBuffer | undefined;
  #keptLength = 0;
  /** How many bytes the receiver needs from there on, as far as it knows. */
  #needed = 0;
  /** Reads in the order of the file. */
  #queue: Block[] = [];
  /** Where the next read begins. */
  #next = 0;
  /** Whether the read before it went to its bound. */
  #cut = false;
  /** Bytes of blocks that are read ahead at the moment, at most. */
  #window: number;
  #firstBytes: number;
  /** All reads in flight, those of dropped blocks included. */
  readonly #running = new Set<Promise<void>>();

  constructor(
    file: TaskFile,
    pool: BufferPool,
    position: number,
    options: BlockReaderOptions = {},
  ) {
    this.#file = file;
    this.#pool = pool;
    this.#unit = file.capabilities.readOffsetAlignment;
    // A reader that pauses keeps what it read ahead, and must not keep a writer of the same pool from going on.
    this.#limit = Math.min(
      options.readAheadBytes ?? READ_AHEAD_BYTES,
      pool.limitBytes / 4,
    );
    this.#aheadBound = options.aheadBound ?? Infinity;
    this.#signal = options.signal;
    this.#window = options.eager ? this.#limit : 0;
    this.#firstBytes = options.firstBytes ?? BLOCK_BYTES;
    this.#position = position;
    this.#next = roundDown(position, this.#unit);
  }

  /** Where the next piece begins in the file. */
  get position(): number {
    return this.#position;
  }

  /** Reads from `position` on, anew: nothing that was read before counts. */
  restart(position: number): void {
    this.#needed = 0;
    this.#firstBytes = RESTART_BYTES;
    this.#window = 0;
    this.#moveTo(position);
  }

  /** The next bytes, up to `bound`, which must lie behind those that were taken. */
  *next(bound: number): Task<Piece> {
    const end = this.#position + this.#keptLength;
    const behind = this.#queue.length > 0 || !this.#cut && end < bound;
    if (!behind) {
      if (this.#kept !== undefined && end >= bound) return this.#rest(bound);
      if (this.#cut) this.#moveTo(this.#position);
    }
    const head = this.#queue[0];
    const block = head !== undefined && this.#keptLength > 0 &&
        (this.#keptLength > head.room ||
          this.#needed > this.#keptLength + head.length)
      ? yield* this.#merge(bound)
      : yield* this.#take(bound);
    return this.#piece(block);
  }

  /**
   * Keeps the end of a piece, from `start` in its buffer on, for the next one to begin with.
   *
   * @param needed How many bytes from there on are needed, as far as is known.
   */
  keep(piece: Piece, start: number, needed: number): void {
    const { buffer, end } = piece;
    const position = piece.position + start - piece.start;
    this.#needed = needed;
    if (start === end) {
      this.#position = position;
      return;
    }
    const kept = this.#attempt(end - start);
    if (kept === undefined) return this.#moveTo(position);
    kept.bytes.set(buffer.bytes.subarray(start, end));
    this.#position = position;
    this.#kept = kept;
    this.#keptLength = end - start;
  }

  /** Gives all memory back, and waits for the reads in flight. */
  *close(): Task<void> {
    this.#drop();
    yield* step(
      () => Promise.all(this.#running).then(() => {}),
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
    this.#keptLength = 0;
  }

  /** The bytes of a block, behind those that were kept. */
  #piece(block: Block): Piece {
    const { buffer, room, position, length, read, bound } = block;
    const start = room + this.#position - position;
    const end = Math.max(start, room + Math.min(read, bound - position));
    const { bytes } = buffer;
    // No byte of an earlier owner can be reached through the buffer.
    if (this.#kept !== undefined) {
      bytes.fill(0, 0, start);
      bytes.set(this.#kept.bytes.subarray(0, this.#keptLength), start);
      this.#forget();
    } else bytes.fill(0, 0, room);
    bytes.fill(0, room + read);
    if (buffer.capacity > bytes.length) buffer.resize(buffer.capacity);
    const last = read < length || position + length >= bound;
    if (read < length) {
      // The file ends here, whatever was read behind.
      for (const block of this.#queue.splice(0)) block.buffer.drop();
      this.#cut = true;
    }
    const piece = { buffer, start, end, position: this.#position, bound, last };
    this.#position += end - start;
    return piece;
  }

  /** What was kept, where nothing lies behind it. */
  #rest(bound: number): Piece {
    const buffer = this.#kept!;
    const end = Math.min(this.#keptLength, bound - this.#position);
    const position = this.#position;
    // What lay behind the bound is gone, and read again if it is asked for.
    if (end < this.#keptLength) this.#cut = true;
    this.#kept = undefined;
    this.#keptLength = 0;
    this.#position += end;
    return { buffer, start: 0, end, position, bound, last: true };
  }

  /** The next block, complete. */
  *#take(bound: number): Task<Block> {
    yield* step(() => this.#fill(bound), () => this.#fillSync(bound));
    return this.#shift();
  }

  /** Takes the first block, which is complete, from the queue. */
  #shift(): Block {
    const block = this.#queue.shift()!;
    if (block.failure === undefined) return block;
    block.buffer.drop();
    throw block.failure.reason;
  }

  async #fill(bound: number): Promise<void> {
    if (this.#queue.length === 0) {
      let plan = this.#plan(bound);
      let buffer = this.#attempt(plan.room + plan.length);
      if (buffer === undefined) {
        plan = this.#planAlone(bound);
        const signal = this.#signal;
        const options = signal === undefined ? {} : { signal };
        buffer = await this.#pool.acquire(plan.room + plan.length, options);
      }
      this.#queue.push(this.#start(this.#block(buffer, plan, bound)));
    }
    this.#readAhead(bound);
    const head = this.#queue[0]!;
    if (head.running === undefined) return;
    this.#window = Math.min(
      Math.max(2 * this.#window, BLOCK_BYTES),
      this.#limit,
    );
    await head.running;
  }

  #fillSync(bound: number): void {
    let plan = this.#plan(bound);
    let buffer = this.#attempt(plan.room + plan.length);
    if (buffer === undefined) {
      plan = this.#planAlone(bound);
      buffer = this.#pool.acquireSync(plan.room + plan.length);
    }
    const block = this.#block(buffer, plan, bound);
    const { position, room, length } = block;
    const range = { start: room, length };
    try {
      block.read = this.#file.file.readSync(buffer, position, range);
    } catch (error) {
      buffer.drop();
      throw error;
    }
    this.#queue.push(block);
  }

  /** Starts reads behind those in the queue, as far as memory and the window go. */
  #readAhead(bound: number): void {
    const end = Math.min(bound, this.#aheadBound);
    let ahead = 0;
    for (const block of this.#queue) ahead += block.room + block.length;
    ahead -= this.#queue[0]!.room + this.#queue[0]!.length;
    // The rest of a message that is larger than that is read by itself.
    if (this.#needed > MAX_HEADROOM_BYTES) return;
    while (!this.#cut && this.#next < end) {
      const plan = this.#plan(bound);
      ahead += plan.room + plan.length;
      if (ahead > this.#window) return;
      const buffer = this.#attempt(plan.room + plan.length);
      if (buffer === undefined || buffer.external) {
        buffer?.drop();
        this.#window = 0;
        return;
      }
      this.#queue.push(this.#start(this.#block(buffer, plan, bound)));
    }
  }

  /**
   * One block of what was kept needs: blocks that were read already are copied, what is missing behind them is read to its place.
   */
  *#merge(bound: number): Task<Block> {
    const room = roundUp(this.#keptLength, this.#alignment);
    const missing = this.#needed - this.#keptLength;
    const first = this.#queue[0]!.position;
    let count = 0;
    let length = 0;
    do length += this.#queue[count++]!.length; while (
      count < this.#queue.length && length < missing
    );
    const rest = this.#cut || count < this.#queue.length ? 0 : roundUp(
      Math.max(0, Math.min(missing - length, bound - this.#next)),
      this.#unit,
    );
    const buffer = this.#attempt(room + length + rest);
    if (buffer === undefined) {
      // With everything given back, its turn for as much comes.
      this.#moveTo(this.#position);
      return yield* this.#take(bound);
    }
    const merged: Block = {
      buffer,
      room,
      position: first,
      length: length + rest,
      bound: rest > 0 ? bound : this.#queue[count - 1]!.bound,
      read: 0,
      running: undefined,
      failure: undefined,
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

  get #alignment(): number {
    return Math.max(this.#unit, ROOM_ALIGNMENT);
  }

  /** Where the block that is read next goes. */
  #plan(bound: number): Plan {
    const needed = this.#needed;
    const kept = this.#keptLength;
    const bytes = needed > HEADROOM_BYTES
      ? Math.min(roundUp(4 * needed, BLOCK_BYTES), MAX_BLOCK_BYTES)
      : BLOCK_BYTES;
    const room = roundUp(
      Math.max(HEADROOM_BYTES, Math.min(needed, MAX_HEADROOM_BYTES), kept),
      this.#alignment,
    );
    const soft = Math.max(this.#aheadBound - this.#next, RESTART_BYTES);
    const usual = Math.max(Math.min(bytes - room, soft), this.#unit);
    if (this.#queue.length > 0) return this.#within(room, usual, bound);
    // The message, counted from where the read begins; a larger one is read to its end and no further: what follows may be small again.
    const message = this.#position + Math.max(needed, kept) - this.#next;
    const most = needed > MAX_HEADROOM_BYTES
      ? 0
      : Math.min(usual, this.#firstBytes);
    const length = Math.max(message, most, this.#unit);
    return this.#within(kept === 0 ? 0 : room, length, bound);
  }

  #within(room: number, length: number, bound: number): Plan {
    const most = roundUp(bound - this.#next, this.#unit);
    return { room, length: Math.min(roundUp(length, this.#unit), most) };
  }

  /** The same with nothing held, so that waiting for memory holds up nobody else, and with as much as it takes. */
  #planAlone(bound: number): Plan {
    this.#moveTo(this.#position);
    const message = this.#position + this.#needed - this.#next;
    const usual = Math.min(BLOCK_BYTES - HEADROOM_BYTES, this.#firstBytes);
    return this.#within(0, Math.max(message, usual, this.#unit), bound);
  }

  #attempt(bytes: number): PooledBuffer | undefined {
    try {
      return this.#pool.acquireSync(bytes);
    } catch (error) {
      if (error instanceof PoolLimit) return undefined;
      throw error;
    }
  }

  #block(buffer: PooledBuffer, plan: Plan, bound: number): Block {
    const { room, length } = plan;
    const position = this.#next;
    this.#next += length;
    this.#cut = this.#next >= bound;
    this.#firstBytes = BLOCK_BYTES;
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

  #start(block: Block): Block {
    const { buffer, position, room, length } = block;
    const running = this.#file.file.read(buffer, position, {
      start: room,
      length,
    })
      .then((read) => {
        block.read = read;
      }, (reason) => {
        block.failure = { reason };
      })
      .then(() => {
        block.running = undefined;
        this.#running.delete(running);
      });
    this.#running.add(running);
    block.running = running;
    return block;
  }
}
