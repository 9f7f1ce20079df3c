import { perform, type Step, type Task } from "../base/mod.ts";
import {
  engine,
  OPERATION,
  type OperationKind,
  PendingOperation,
} from "../engine/mod.ts";
import type { Loan } from "../pool/mod.ts";
import { operationFailure } from "./errors.ts";
import { type FileCounters, fileCounters } from "./file_stats.ts";

/** What an operation belongs to: an open file, or a single call on a descriptor. */
export interface OperationOwner {
  /** The path for errors. */
  readonly path: string;
  /** The library's number of the file. */
  readonly file: number;
  readonly counters: FileCounters;
  /** Called when an operation in flight is over, after its caller was told. */
  ended(): void;
}

/**
 * One operation of an open file, as a step: it is begun, or run in place.
 *
 * It is also the record that the engine runs, from the checked arguments to the outcome. Records
 * are reused.
 */
export class FileOperation<T = unknown> extends PendingOperation
  implements Step<T> {
  owner: OperationOwner | undefined;
  /** The batch that it is part of, which reads the outcome. The batch's caller ends the loan. */
  batch: Batch | undefined;
  #resolve: (value: T) => void = nothing;
  #reject: (error: unknown) => void = nothing;

  /** The system call. */
  get kind(): string {
    return this.op.syscall;
  }

  begin(resolve: (value: T) => void, reject: (error: unknown) => void): void {
    this.#resolve = resolve;
    this.#reject = reject;
    this.count();
    this.owner!.counters.inFlight++;
    engine().start(this);
  }

  runSync(): T {
    this.count();
    try {
      engine().runSync(this);
    } finally {
      this.loan?.end();
    }
    const error = this.outcome();
    const result = this.#result();
    this.#recycle();
    if (error !== undefined) throw error;
    return result;
  }

  settleSync(): void {
    engine().settleSync();
  }

  override completed(): void {
    const owner = this.owner!;
    // First, because the caller may block until nothing is in flight.
    owner.counters.inFlight--;
    if (this.batch === undefined) this.#tell();
    else this.batch.completed();
    owner.ended();
  }

  /** Counts that it was started. */
  count(): void {
    if (this.op !== OPERATION.SEAL) this.owner!.counters[this.op.counter]++;
  }

  /** Counts what it did, and returns the error if it failed. */
  outcome(): Error | undefined {
    const { op, status, transferred } = this;
    const { counters, path } = this.owner!;
    if (op === OPERATION.READ) counters.bytesRead += transferred;
    else if (op.counter === "writes") counters.bytesWritten += transferred;
    if (status === 0) return undefined;
    counters.errors++;
    return operationFailure(this, path);
  }

  #tell(): void {
    this.loan?.end();
    const error = this.outcome();
    const result = this.#result();
    const [resolve, reject] = [this.#resolve, this.#reject];
    this.#recycle();
    if (error === undefined) resolve(result);
    else reject(error);
  }

  /** Returns what the caller gets. */
  #result(): T {
    const { op, transferred } = this;
    const moves = op === OPERATION.READ || op === OPERATION.WRITE;
    const isZeroed = op === OPERATION.ALLOCATE ? transferred === 1 : undefined;
    return (moves ? transferred : isZeroed) as T;
  }

  #recycle(): void {
    this.loan = this.owner = undefined;
    this.#resolve = this.#reject = nothing;
    if (spare.length < MAX_SPARE) spare.push(this as FileOperation);
  }
}

function nothing(): void {}

/** Records that are not in use. Thanks to them an operation allocates no more than its promise. */
const spare: FileOperation[] = [];
/** The most records that are kept. */
const MAX_SPARE = 1024;

/** Makes an operation; its arguments were checked. */
export function fileOperation<T>(
  owner: OperationOwner,
  op: OperationKind,
  position = 0,
  length = 0,
  flags = 0,
  loan?: Loan,
): FileOperation<T> {
  const operation = spare.pop() ?? new FileOperation();
  operation.owner = owner;
  operation.op = op;
  operation.flags = flags;
  operation.file = owner.file;
  operation.loan = loan;
  operation.start = 0;
  operation.position = position;
  operation.length = length;
  return operation as FileOperation<T>;
}

/** Runs an operation without memory on a descriptor. */
export function runOn(
  { path, file }: Pick<OperationOwner, "path" | "file">,
  op: OperationKind,
): Task<void> {
  const owner = { path, file, counters: fileCounters(), ended: nothing };
  return perform(fileOperation<void>(owner, op));
}

/**
 * Runs operations side by side. When all are over, it gives the bytes that each moved, or the error
 * of the first that failed.
 */
export class Batch implements Step<number[]> {
  readonly kind = "transfers";
  readonly #operations: readonly FileOperation<number>[];
  #leftCount = 0;
  #resolve: (bytes: number[]) => void = nothing;
  #reject: (error: unknown) => void = nothing;

  /** Runs operations whose loans the caller ends. */
  constructor(operations: readonly FileOperation<number>[]) {
    this.#operations = operations;
  }

  begin(
    resolve: (bytes: number[]) => void,
    reject: (error: unknown) => void,
  ): void {
    this.#leftCount = this.#operations.length;
    if (this.#leftCount === 0) return resolve([]);
    this.#resolve = resolve;
    this.#reject = reject;
    for (const operation of this.#operations) {
      operation.batch = this;
      operation.begin(nothing, nothing);
    }
  }

  runSync(): number[] {
    for (const operation of this.#operations) operation.count();
    engine().runBatchSync(this.#operations);
    return this.#outcome();
  }

  settleSync(): void {
    engine().settleSync();
  }

  /** Called when one of the operations is over. */
  completed(): void {
    if (--this.#leftCount > 0) return;
    let bytes: number[];
    try {
      bytes = this.#outcome();
    } catch (error) {
      return this.#reject(error);
    }
    this.#resolve(bytes);
  }

  #outcome(): number[] {
    const errors = this.#operations.map((each) => each.outcome())
      .filter((error) => error !== undefined);
    if (errors.length > 0) throw errors[0];
    return this.#operations.map(({ transferred }) => transferred);
  }
}
