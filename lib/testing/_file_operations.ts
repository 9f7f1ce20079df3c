import {
  checkChoice,
  checkInteger,
  roundDown,
  sameBytes,
  type Step,
} from "../base/mod.ts";
import type { FrozenBuffer, Loan, PooledBuffer } from "../pool/mod.ts";
import {
  type BufferRange,
  type Durability,
  isNoSpaceCode,
  NoSpaceError,
  type PreallocateOptions,
  type WriteOptions,
} from "../storage/mod.ts";
import {
  closedError,
  failure,
  type FileSteps,
  lendRange,
  type OpenRequest,
} from "../storage/parts.ts";
import { blocksOf } from "./_contents.ts";
import { blockUnits, type FileUnit, type Inode, sizeUnit } from "./_inode.ts";
import type { Machine, Task } from "./_machine.ts";
import type { OperationDetails, OperationKind } from "./operation.ts";
import {
  type MisuseReason,
  SimulatedMisuseError,
} from "./simulated_misuse_error.ts";
import { abandon } from "./_unsynced_state.ts";

/** Largest size of a file, in bytes: that of ext4 with blocks of 4096 bytes. */
const MAX_FILE_BYTES = 2 ** 44 - 4096;

/** Most repetitions of an operation after `EAGAIN`, as of a real file. */
const MAX_AGAIN = 100;
/** Pause before each of them. */
const PAUSE_MS = 1;

/** Makes the operations of a handle of a file, and closes it after the last one. */
export class FileOperations implements FileSteps {
  readonly machine: Machine;
  readonly inode: Inode;
  path: string;
  readonly #request: OpenRequest;
  /** Set when closing begins: no operation may begin after that. */
  #isClosing = false;
  #isClosed = false;
  /** Called when the file is closed. */
  readonly #whenClosed: (() => void)[] = [];

  constructor(
    machine: Machine,
    inode: Inode,
    path: string,
    request: OpenRequest,
  ) {
    this.machine = machine;
    this.inode = inode;
    this.path = path;
    this.#request = request;
    machine.open.add(this);
  }

  renamed(path: string): void {
    this.path = path;
  }

  read(
    buffer: PooledBuffer,
    position: number,
    range: BufferRange = {},
  ): Step<number> {
    const loan = this.#lend("read", buffer, position, range);
    const reading = (done: number) => this.#reading(loan, position, done);
    return this.#step(this.#repeated(reading, (total, done) => {
      // Only at the end of the file a read ends within a sector.
      const sector = this.machine.settings.capabilities.readOffsetAlignment;
      const isWhole = total === loan.length || total % sector !== 0 ||
        position + total >= this.inode.current.size;
      return isWhole || total === done ? undefined : total;
    }));
  }

  #reading(loan: Loan, start: number, done: number): Task<number> {
    const { from, position, length } = this.#rest(loan, start, done);
    const { machine, inode: { current } } = this;
    const before = machine.settings.manual ? loan.bytes.slice(from) : undefined;
    const effect: Task<number>["effect"] = (
      { flipBit, shortBytes = length },
    ) => {
      const bytes = loan.bytes.subarray(from, from + shortBytes);
      if (!current.isReadable(position, bytes.length)) {
        throw failure("EIO", "read", this.path);
      }
      const count = current.read(position, bytes);
      // After the end of the file, a direct read may write zeros to the memory or leave it.
      if (machine.nondeterminism.chance(1 / 2)) bytes.fill(0, count);
      flip(bytes.subarray(0, count), flipBit);
      return Math.max(done, from + count);
    };
    return {
      ...this.#task("read", "read", effect, { position, length }, loan),
      check: () => {
        if (!isSame(loan, before!)) {
          throw this.#misuse("read", loan, start, "changed");
        }
      },
    };
  }

  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = {},
  ): Step<number> {
    const { durability = "none" } = options;
    const choices = ["none", "data", "full"];
    checkChoice(`write '${this.path}'`, "durability", durability, choices);
    const loan = this.#lend("write", buffer, position, options);
    return this.#step(this.#repeated(
      (done) => this.#writing(loan, position, durability, done),
      (total) => total < loan.length ? total : undefined,
    ));
  }

  #writing(
    loan: Loan,
    start: number,
    durability: Durability,
    done: number,
  ): Task<number> {
    const { from, position, length } = this.#rest(loan, start, done);
    const { machine, inode } = this;
    const { blockBytes } = machine.settings;
    const bytes = loan.bytes.slice(from);
    const units = this.#writtenUnits(position, length, bytes);
    const effect: Task<number>["effect"] = (
      { flipBit, shortBytes = length, misdirectTo: at = position },
    ) => {
      // The kernel writes as much as a file has room for; the next call is refused.
      const room = MAX_FILE_BYTES - at;
      if (room <= 0) throw this.#failed("EFBIG", "write", loan.length, done);
      const moved = Math.min(shortBytes, length, room);
      if (moved === 0) {
        inode.doubt(units);
        throw failure("EIO", "write", this.path);
      }
      const full = this.#blockWithoutSpace(at, moved);
      const written = full === undefined
        ? moved
        : Math.max(0, full * blockBytes - at);
      const end = at + written;
      const part = bytes.slice(0, written);
      flip(part, flipBit);
      const carried: FileUnit[] = blockUnits(at, written, blockBytes, part);
      // The size that durable bytes need is durable with them, also if another operation set it.
      if (written > 0 && (durability !== "none" || end > inode.current.size)) {
        carried.push(sizeUnit("size", end));
      }
      inode.apply(carried);
      if (written < moved) {
        throw this.#failed("ENOSPC", "write", loan.length, from + written);
      }
      if (durability !== "none") inode.settle(carried);
      return Math.max(done, from + written);
    };
    const details = { position, length, durability };
    const task: Task<number> = {
      ...this.#task("write", "write", effect, details, loan),
      writes: { inode, units },
      check: () => {
        if (!isSame(loan, bytes)) {
          throw this.#misuse("write", loan, start, "changed");
        }
        if (machine.overlaps(task)) {
          throw this.#misuse("write", loan, start, "overlap");
        }
      },
      fail: (code) => {
        // A device may have any part of a write that failed.
        if (code === "EIO") inode.doubt(units);
        return this.#failed(code, "write", loan.length, done);
      },
    };
    return task;
  }

  sync(durability: Exclude<Durability, "none"> = "data"): Step<void> {
    const choices = ["data", "full"];
    checkChoice(`sync '${this.path}'`, "durability", durability, choices);
    const syscall = durability === "data" ? "fdatasync" : "fsync";
    this.checkOpen(syscall);
    const units = this.inode.syncable();
    const settle = () => this.inode.settle(units);
    const task = this.#task("sync", syscall, settle, { durability });
    return this.#step({
      ...task,
      fail: (code) => {
        abandon(units);
        return task.fail(code);
      },
    });
  }

  truncate(length: number): Step<void> {
    this.#checkMay("ftruncate", "write");
    checkInteger(`ftruncate '${this.path}'`, "length", length);
    const task = this.#task("truncate", "ftruncate", () => {
      if (length > MAX_FILE_BYTES) throw task.fail("EFBIG");
      this.inode.apply([sizeUnit("truncate", length)]);
    }, { length });
    return this.#step(this.#repeated(() => task));
  }

  preallocate(
    position: number,
    length: number,
    { zeroed = false }: PreallocateOptions = {},
  ): Step<boolean> {
    this.#checkMay("fallocate", "write");
    const action = `fallocate '${this.path}'`;
    checkInteger(action, "position", position);
    const most = Number.MAX_SAFE_INTEGER - position;
    checkInteger(action, "length", length, 1, most);
    const { machine: { settings }, inode } = this;
    const isWritten = zeroed && settings.writesZeros;
    const fits = position + length <= MAX_FILE_BYTES;
    const units = isWritten && fits && length <= settings.sizeBytes
      ? this.#writtenUnits(position, length)
      : [];
    const failed = (code: string) => this.#failed(code, "fallocate", length, 0);
    const effect = () => {
      if (!fits) throw failed("EFBIG");
      if (this.#blockWithoutSpace(position, length) !== undefined) {
        throw failed("ENOSPC");
      }
      inode.apply(
        isWritten ? units : [sizeUnit("preallocate", length, position)],
      );
      return isWritten;
    };
    const details = { position, length };
    const task: Task<boolean> = {
      ...this.#task("preallocate", "fallocate", effect, details),
      ...(isWritten ? { writes: { inode, units } } : {}),
      fail: (code) => {
        // A device may have any part of zeros that it failed to write.
        if (code === "EIO") inode.doubt(units);
        return failed(code);
      },
    };
    return this.#step(this.#repeated(() => task));
  }

  size(): Step<number> {
    this.checkOpen("statx");
    return this.#step(
      this.#task("size", "statx", () => this.inode.current.size),
    );
  }

  /** Takes the lock of the file; returns whether no other handle held it. */
  lock(): boolean {
    this.checkOpen("flock");
    return this.machine.runSync(
      this.#task(
        "lock",
        "flock",
        () => (this.inode.lockedBy ??= this) === this,
      ),
    );
  }

  close(): Step<void> {
    const closeSync = () => this.#closeSync();
    return {
      kind: "close",
      begin: (resolve) => {
        if (this.#isClosed) return resolve();
        this.#whenClosed.push(resolve);
        this.#isClosing = true;
        this.#endIfIdle();
      },
      runSync: closeSync,
      settleSync: closeSync,
    };
  }

  #closeSync(): void {
    this.#isClosing = true;
    this.settleSync();
    this.#endIfIdle();
  }

  /** Ends the handle if it is closing, and nothing of it is in flight. */
  #endIfIdle(): void {
    const { machine, inode } = this;
    if (!this.#isClosing || this.#isClosed) return;
    if (machine.scheduler.inFlight.some(({ owner }) => owner === this)) return;
    this.#isClosed = true;
    if (inode.lockedBy === this) inode.lockedBy = undefined;
    machine.open.delete(this);
    for (const tell of this.#whenClosed.splice(0)) tell();
  }

  /** Completes the operations in flight, and tells their callers. */
  settleSync(): void {
    this.machine.scheduler.settleOwn(this);
  }

  /** Throws if closing has begun. */
  checkOpen(syscall: string): void {
    if (this.#isClosing) throw closedError(syscall, this.path);
  }

  #checkMay(syscall: string, needed: "read" | "write"): void {
    this.checkOpen(syscall);
    if (this.#request[needed]) return;
    const advice = `the file was not opened with '${needed}: true'`;
    throw failure("EBADF", syscall, this.path, advice);
  }

  #lend(
    kind: "read" | "write",
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    range: BufferRange,
  ): Loan {
    this.#checkMay(kind, kind);
    const { capabilities } = this.machine.settings;
    return lendRange(kind, this.path, capabilities, buffer, position, range);
  }

  #task<T>(
    kind: OperationKind,
    syscall: string,
    effect: Task<T>["effect"],
    details: OperationDetails = {},
    loan?: Loan,
  ): Task<T> {
    return {
      kind,
      path: this.inode.path,
      details,
      owner: this,
      effect,
      fail: (code) => failure(code, syscall, this.path),
      release: () => {
        loan?.end();
        this.#endIfIdle();
      },
    };
  }

  #step<T>(task: Task<T>): Step<T> {
    return {
      kind: task.kind,
      begin: (resolve, reject) => this.machine.begin(task, resolve, reject),
      runSync: () => this.machine.runSync(task),
      settleSync: () => this.settleSync(),
    };
  }

  /**
   * Makes an operation that is repeated after `EINTR`, and a limited number of times after
   * `EAGAIN`. A transfer is continued from the byte that `rest` returns.
   */
  #repeated<T>(
    make: (done: number) => Task<T>,
    rest: (value: T, done: number) => number | undefined = () => undefined,
  ): Task<T> {
    let again = 0;
    const attempt = (done: number): Task<T> => ({
      ...make(done),
      follow: (outcome) => {
        if ("value" in outcome) {
          const next = rest(outcome.value, done);
          return next === undefined ? undefined : attempt(next);
        }
        const { code } = outcome.error as { code?: string };
        if (code === "EAGAIN" && again++ < MAX_AGAIN) {
          this.machine.clock.advance(PAUSE_MS);
        } else if (code !== "EINTR") return undefined;
        return attempt(done);
      },
    });
    return attempt(0);
  }

  /**
   * Returns the rest of a transfer of which `done` bytes were moved. It begins where position and
   * memory are aligned for the device.
   */
  #rest(loan: Loan, position: number, done: number) {
    const { offsetAlignment, memoryAlignment } =
      this.machine.settings.capabilities;
    const from = roundDown(done, Math.max(offsetAlignment, memoryAlignment));
    return { from, position: position + from, length: loan.length - from };
  }

  /** Returns the units of a write, or of zeros, that begins now. */
  #writtenUnits(
    position: number,
    length: number,
    bytes?: Uint8Array,
  ): FileUnit[] {
    const end = position + length;
    const { blockBytes } = this.machine.settings;
    const units: FileUnit[] = blockUnits(position, length, blockBytes, bytes);
    if (end > this.inode.current.size) units.push(sizeUnit("size", end));
    return units;
  }

  /** Returns the first block of a range for which the disk has no space. */
  #blockWithoutSpace(position: number, length: number): number | undefined {
    const { current } = this.inode;
    let free = this.machine.freeBlocks();
    for (const block of blocksOf(position, length, current.blockBytes)) {
      if (!current.blocks.has(block) && free-- === 0) return block;
    }
    return undefined;
  }

  /** Makes the error of a call that takes space. */
  #failed(
    code: string,
    syscall: string,
    requestedBytes: number,
    writtenBytes: number,
  ): Error {
    const { path } = this;
    if (!isNoSpaceCode(code)) return failure(code, syscall, path);
    return new NoSpaceError({
      code,
      syscall,
      path,
      requestedBytes,
      writtenBytes,
    });
  }

  #misuse(
    kind: "read" | "write",
    { length }: Loan,
    position: number,
    reason: MisuseReason,
  ): SimulatedMisuseError {
    const { path } = this;
    return new SimulatedMisuseError(kind, { path, position, length, reason });
  }
}

/** Flips a bit of bytes, if they have it. */
function flip(bytes: Uint8Array, bit: number | undefined): void {
  if (bit === undefined || bit >= bytes.length * 8) return;
  bytes[bit >> 3]! ^= 1 << (bit & 7);
}

/** Returns whether lent memory still ends with the bytes that it had. */
function isSame(loan: Loan, before: Uint8Array): boolean {
  return sameBytes(loan.bytes.subarray(loan.length - before.length), before);
}
