import { begunStep, type Task } from "../base/mod.ts";
import {
  engine,
  OPERATION,
  type OperationKind,
  type OperationOwner,
  type PendingOperation,
  recycleOperation,
  takeOperation,
} from "../engine/mod.ts";
import { native } from "../native/mod.ts";
import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type { CheckedOperations } from "./checked_operations.ts";
import { closeDescriptor } from "./descriptor.ts";
import { operationFailure } from "./errors.ts";
import type { FileCallbacks, Reject } from "./file_callbacks.ts";
import { type FileStat, fileStat } from "./file_stat.ts";
import { type FileCounters, fileCounters } from "./file_stats.ts";
import { type FileProbe, probeFile, probeTimes } from "./probe.ts";
import type {
  BufferRange,
  Durability,
  PreallocateOptions,
  WriteOptions,
} from "./storage.ts";

/**
 * An open descriptor of the library: starts and counts its operations, makes their errors, and is
 * closed after the last one.
 *
 * Each operation is one {@linkcode PendingOperation} from here to the library and back.
 */
export class OpenDescriptor implements FileCallbacks, OperationOwner {
  /** Makes its operations from their arguments. */
  readonly checked: CheckedOperations;
  readonly counters: FileCounters = fileCounters();

  #closing: Promise<void> | undefined;
  /** Whether the descriptor is gone. */
  #isClosed = false;
  /** Called when the descriptor is gone. */
  readonly #whenClosed: (() => void)[] = [];
  /** Called when the last operation in flight is over. */
  #whenIdle: (() => void) | undefined;

  constructor(checked: CheckedOperations) {
    this.checked = checked;
  }

  read(
    buffer: PooledBuffer,
    position: number,
    range: BufferRange,
    resolve: (bytes: number) => void,
    reject: Reject,
  ): void {
    const operation = this.checked.reading(buffer, position, range);
    engine().start(this.#owned(operation, resolve, reject));
  }

  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions,
    resolve: (bytes: number) => void,
    reject: Reject,
  ): void {
    const operation = this.checked.writing(buffer, position, options);
    engine().start(this.#owned(operation, resolve, reject));
  }

  seal(buffer: PooledBuffer, resolve: () => void, reject: Reject): void {
    const operation = this.checked.sealing(buffer);
    engine().start(this.#owned(operation, resolve, reject));
  }

  sync(
    durability: Exclude<Durability, "none">,
    resolve: () => void,
    reject: Reject,
  ): void {
    const operation = this.checked.syncing(durability);
    engine().start(this.#owned(operation, () => resolve(), reject));
  }

  truncate(length: number, resolve: () => void, reject: Reject): void {
    const operation = this.checked.truncating(length);
    engine().start(this.#owned(operation, () => resolve(), reject));
  }

  preallocate(
    position: number,
    length: number,
    options: PreallocateOptions,
    resolve: (areZerosWritten: boolean) => void,
    reject: Reject,
  ): void {
    const operation = this.checked.allocating(position, length, options);
    const done = (transferred: number) => resolve(transferred === 1);
    engine().start(this.#owned(operation, done, reject));
  }

  size(resolve: (bytes: number) => void): void {
    resolve(this.probe().sizeBytes);
  }

  probe(): FileProbe {
    this.checked.checkOpen("statx");
    return probeFile(this.checked.file, this.checked.path);
  }

  statSync(): FileStat {
    this.checked.checkOpen("statx");
    return fileStat(probeTimes(this.checked.file, this.checked.path));
  }

  /**
   * Runs operations side by side; returns the bytes that each moved, when all are over, or throws
   * the error of the first that failed. Their loans stay the caller's.
   */
  many(operations: readonly PendingOperation[]): Task<number[]> {
    return begunStep({
      kind: "transfers",
      begin: (resolve, reject) => {
        if (operations.length === 0) return resolve([]);
        const owner = new Batch(this, operations, resolve, reject);
        for (const operation of operations) {
          operation.owner = owner;
          this.#count(operation);
          this.counters.inFlight++;
          engine().start(operation);
        }
      },
      runSync: () => {
        operations.forEach((operation) => this.#count(operation));
        engine().runBatchSync(operations);
        return this.outcomes(operations);
      },
      settleSync: () => this.settleSync(),
    });
  }

  /** Returns the bytes that each operation moved, or throws the error of the first that failed. */
  outcomes(operations: readonly PendingOperation[]): number[] {
    const errors = operations.map((each) => this.#outcome(each))
      .filter((error) => error !== undefined);
    if (errors.length > 0) throw errors[0];
    return operations.map(({ transferred }) => transferred);
  }

  /** Blocks until nothing is in flight (of this isolate, in fact), and all owners were told. */
  settleSync(): void {
    if (this.counters.inFlight > 0) engine().settleSync();
  }

  /** Receives an operation that is over. */
  completed(operation: PendingOperation): void {
    const { loan, resolve, reject, transferred } = operation;
    loan?.end();
    const error = this.#outcome(operation);
    recycleOperation(operation);
    // Before: what continues may block until nothing is in flight, and must not wait for this one.
    this.counters.inFlight--;
    if (error === undefined) resolve(transferred);
    else reject(error);
    this.checkIdle();
  }

  /** Lets closing go on if nothing is in flight. */
  checkIdle(): void {
    if (this.counters.inFlight === 0) this.#whenIdle?.();
  }

  renamed(path: string): void {
    this.checked.path = path;
  }

  close(resolve: () => void, reject: Reject): void {
    if (this.#isClosed) return resolve();
    this.#whenClosed.push(resolve);
    this.closed().catch(reject);
  }

  /** Ends it after its operations in flight. */
  closed(): Promise<void> {
    this.checked.isClosing = true;
    return this.#closing ??= this.#finish();
  }

  closeSync(): void {
    if (this.#isClosed) return;
    this.checked.isClosing = true;
    this.settleSync();
    // A batch has a sync that follows its writes; else nothing starts any more.
    this.settleSync();
    this.#end();
  }

  async #finish(): Promise<void> {
    if (this.counters.inFlight > 0) {
      await new Promise<void>((resolve) => this.#whenIdle = resolve);
      // One turn later all who wait for those operations have heard of them.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.#end();
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { cutPage, file } = this.checked;
    if (cutPage !== undefined) {
      // Clean after a sync; what is dirty stays, so nothing can be lost, and nothing depends on it.
      native().basalt_file_drop_cached(file, cutPage);
    }
    closeDescriptor(file);
    for (const tell of this.#whenClosed.splice(0)) tell();
  }

  /**
   * Makes a sync that follows writes of a batch: `close` waits for it, `closeSync` has ended it.
   */
  *syncAfter(durability: Exclude<Durability, "none">): Task<void> {
    yield* this.many([this.checked.syncing(durability, this.#isClosed)]);
  }

  /** Makes an operation one that is in flight. */
  #owned(
    operation: PendingOperation,
    resolve: (bytes: number) => void,
    reject: Reject,
  ): PendingOperation {
    operation.owner = this;
    operation.resolve = resolve;
    operation.reject = reject;
    this.#count(operation);
    this.counters.inFlight++;
    return operation;
  }

  /** Runs an operation in place; returns the bytes that it moved. */
  runSync(operation: PendingOperation): number {
    this.#count(operation);
    try {
      engine().runSync(operation);
    } finally {
      operation.loan?.end();
    }
    const { transferred } = operation;
    const error = this.#outcome(operation);
    recycleOperation(operation);
    if (error !== undefined) throw error;
    return transferred;
  }

  #count({ kind }: PendingOperation): void {
    if (kind !== OPERATION.SEAL) this.counters[kind.counter]++;
  }

  /** Counts what an operation did; returns the error if it failed. */
  #outcome(operation: PendingOperation): unknown {
    const { kind, status, transferred } = operation;
    if (kind === OPERATION.READ) this.counters.bytesRead += transferred;
    else if (kind.counter === "writes") {
      this.counters.bytesWritten += transferred;
    }
    if (status === 0) return undefined;
    this.counters.errors++;
    return operationFailure(operation, this.checked.path);
  }
}

/** The owner of operations that run side by side. */
class Batch implements OperationOwner {
  readonly #descriptor: OpenDescriptor;
  readonly #operations: readonly PendingOperation[];
  readonly #resolve: (bytes: number[]) => void;
  readonly #reject: Reject;
  #leftCount: number;

  constructor(
    descriptor: OpenDescriptor,
    operations: readonly PendingOperation[],
    resolve: (bytes: number[]) => void,
    reject: Reject,
  ) {
    this.#descriptor = descriptor;
    this.#operations = operations;
    this.#leftCount = operations.length;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  completed(): void {
    this.#descriptor.counters.inFlight--;
    if (--this.#leftCount === 0) this.#settle();
    this.#descriptor.checkIdle();
  }

  #settle(): void {
    let bytes: number[];
    try {
      bytes = this.#descriptor.outcomes(this.#operations);
    } catch (error) {
      return this.#reject(error);
    }
    this.#resolve(bytes);
  }
}

/** Runs an operation that needs no memory on a descriptor. */
export function* runOn(
  file: number,
  path: string,
  kind: OperationKind,
): Task<void> {
  const operation = takeOperation();
  operation.kind = kind;
  operation.file = file;
  operation.flags =
    operation.start =
    operation.position =
    operation.length =
      0;
  yield* begunStep<void>({
    kind: kind.syscall,
    begin: (resolve, reject) => {
      const completed = ({ status }: PendingOperation): void => {
        if (status === 0) resolve();
        else reject(operationFailure(operation, path));
      };
      operation.owner = { completed };
      engine().start(operation);
    },
    runSync: () => {
      engine().runSync(operation);
      if (operation.status !== 0) throw operationFailure(operation, path);
    },
    settleSync: () => engine().settleSync(),
  });
  recycleOperation(operation);
}
