import { begunStep, type Task } from "../base/mod.ts";
import {
  engine,
  type Flight,
  OPERATION,
  type Operation,
  OperationError,
} from "../engine/mod.ts";
import type { Loan } from "../pool/mod.ts";
import { operationFailure } from "./errors.ts";
import { type FileCounters, fileCounters } from "./file_stats.ts";

/** An operation as a file sees it. */
export interface Kind {
  readonly code: number;
  /** The system call, as errors name it. */
  readonly syscall: string;
  readonly counter: "reads" | "writes" | "syncs" | "resizes";
}

function kind(
  code: number,
  syscall: string,
  counter: Kind["counter"],
): Kind {
  return { code, syscall, counter };
}

export const READ: Kind = kind(OPERATION.READ, "read", "reads");
export const WRITE: Kind = kind(OPERATION.WRITE, "write", "writes");
/** Seals a write block first. */
export const SEAL_WRITE: Kind = kind(OPERATION.SEAL_WRITE, "write", "writes");
export const SYNC_DATA: Kind = kind(OPERATION.SYNC_DATA, "fdatasync", "syncs");
export const SYNC_FULL: Kind = kind(OPERATION.SYNC_FULL, "fsync", "syncs");
export const TRUNCATE: Kind = kind(OPERATION.TRUNCATE, "ftruncate", "resizes");
export const ALLOCATE: Kind = kind(OPERATION.ALLOCATE, "fallocate", "resizes");

/** What to do: checked, and with its memory lent. */
export interface Request {
  kind: Kind;
  /** `FLAGS` of the engine. */
  flags: number;
  /**
   * The memory of a read or write; whoever made the request ends the loan unless told otherwise.
   */
  loan: Loan | undefined;
  /** The first byte within the loan. */
  start: number;
  position: number;
  length: number;
}

/**
 * Records of operations that are over, for the next ones: an operation in flight costs its promise
 * and no more.
 */
const spare: FileFlight[] = [];
/** The most records that are kept. */
const MAX_SPARE = 1024;

/** An operation of a file in flight. */
class FileFlight implements Flight {
  code = 0;
  flags = 0;
  file = 0;
  loan: Loan | undefined;
  start = 0;
  position = 0;
  length = 0;
  kind: Kind = READ;
  over: (flight: FileFlight, status: number, transferred: number) => void =
    nothing;
  resolve: (bytes: number) => void = nothing;
  reject: (error: unknown) => void = nothing;
  /** Whether the loan ends with the operation. */
  endsLoan = false;

  settle(status: number, transferred: number): void {
    this.over(this, status, transferred);
  }
}

function nothing(): void {}

/** Runs an operation that needs no memory on a descriptor. */
export function* runOn(
  file: number,
  path: string,
  { code, syscall }: Kind,
): Task<void> {
  const operation: Operation = {
    code,
    flags: 0,
    file,
    loan: undefined,
    start: 0,
    position: 0,
    length: 0,
  };
  try {
    yield* begunStep<number>({
      kind: syscall,
      begin: (resolve, reject) =>
        engine().start({
          ...operation,
          settle: (status, transferred) => {
            if (status === 0) resolve(transferred);
            else reject(new OperationError(code, status, transferred));
          },
        }),
      runSync: () => engine().runSync(operation),
      settleSync: () => engine().settleSync(),
    });
  } catch (error) {
    throw operationFailure(error, syscall, path, 0);
  }
}

/** What became of operations that run side by side. */
class Outcomes {
  readonly #bytes: number[];
  readonly #errors: unknown[] = [];
  #left: number;
  readonly #resolve: (bytes: number[]) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    count: number,
    resolve: (bytes: number[]) => void,
    reject: (error: unknown) => void,
  ) {
    this.#bytes = new Array<number>(count).fill(0);
    this.#left = count;
    this.#resolve = resolve;
    this.#reject = reject;
    if (count === 0) resolve(this.#bytes);
  }

  /** One is over; after the last one all are told. */
  enter(index: number, bytes: number, error?: unknown): void {
    this.#bytes[index] = bytes;
    if (error !== undefined) this.#errors[index] = error;
    if (--this.#left > 0) return;
    const first = this.#errors.find((each) => each !== undefined);
    if (first === undefined) this.#resolve(this.#bytes);
    else this.#reject(first);
  }
}

/**
 * Runs the operations of one adopted file: counts them, ends their loans and makes their errors.
 */
export class FileOperations {
  readonly counters: FileCounters = fileCounters();
  readonly #file: number;
  readonly #path: string;
  /** Called when the last operation in flight is over. */
  #idle: (() => void) | undefined;

  /** @param path What errors say. */
  constructor(file: number, path: string) {
    this.#file = file;
    this.#path = path;
  }

  /**
   * Starts an operation; `resolve` gets the bytes that it moved.
   *
   * @param endsLoan Whether the loan ends with it, also when it cannot be started; else it stays
   *   the caller's.
   */
  start(
    { kind, flags, loan, start, position, length }: Request,
    resolve: (bytes: number) => void,
    reject: (error: unknown) => void,
    endsLoan: boolean,
  ): void {
    const flight = spare.pop() ?? new FileFlight();
    flight.code = kind.code;
    flight.flags = flags;
    flight.file = this.#file;
    flight.loan = loan;
    flight.start = start;
    flight.position = position;
    flight.length = length;
    flight.kind = kind;
    flight.over = this.#over;
    flight.resolve = resolve;
    flight.reject = reject;
    flight.endsLoan = endsLoan;
    try {
      engine().start(flight);
    } catch (error) {
      if (endsLoan) loan?.end();
      throw error;
    }
    this.counters[kind.counter]++;
    this.counters.inFlight++;
  }

  readonly #over = (
    flight: FileFlight,
    status: number,
    transferred: number,
  ): void => {
    const { kind, loan, resolve, reject } = flight;
    if (flight.endsLoan) loan?.end();
    const error = status === 0
      ? undefined
      : this.#failed(flight, status, transferred);
    flight.loan = undefined;
    flight.over = flight.resolve = flight.reject = nothing;
    if (spare.length < MAX_SPARE) spare.push(flight);
    // Before: what continues may block until nothing is in flight, and must not wait for this one.
    this.counters.inFlight--;
    if (status === 0) resolve(this.#moved(kind, transferred));
    else reject(error);
    if (this.counters.inFlight === 0) this.#idle?.();
  };

  /** Runs an operation while the caller waits; answers the bytes that it moved. */
  runSync(request: Request): number {
    const { kind } = request;
    this.counters[kind.counter]++;
    try {
      return this.#moved(kind, engine().runSync(this.#operation(request)));
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      throw this.#failed(request, error.status, error.transferred);
    }
  }

  /** Runs one operation; gives the bytes that it moved. Its loan stays the caller's. */
  one(request: Request): Task<number> {
    return begunStep({
      kind: request.kind.syscall,
      begin: (resolve, reject) => this.start(request, resolve, reject, false),
      runSync: () => this.runSync(request),
      settleSync: () => this.settleSync(),
    });
  }

  /**
   * Runs operations side by side; gives the bytes that each moved, when all are over, or throws the
   * error of the first that failed. Their loans stay the caller's.
   */
  many(requests: readonly Request[]): Task<number[]> {
    return begunStep({
      kind: "transfers",
      begin: (resolve, reject) => this.#startAll(requests, resolve, reject),
      runSync: () => this.#runAllSync(requests),
      settleSync: () => this.settleSync(),
    });
  }

  #startAll(
    requests: readonly Request[],
    resolve: (bytes: number[]) => void,
    reject: (error: unknown) => void,
  ): void {
    const outcomes = new Outcomes(requests.length, resolve, reject);
    requests.forEach((request, i) =>
      this.start(
        request,
        (bytes) => outcomes.enter(i, bytes),
        (error) => outcomes.enter(i, 0, error),
        false,
      )
    );
  }

  #runAllSync(requests: readonly Request[]): number[] {
    let bytes: number[] = [];
    const outcomes = new Outcomes(
      requests.length,
      (all) => bytes = all,
      (error) => {
        throw error;
      },
    );
    this.#runBatchSync(requests, outcomes);
    return bytes;
  }

  #runBatchSync(requests: readonly Request[], outcomes: Outcomes): void {
    const operations = requests.map((request) => this.#operation(request));
    for (const { kind } of requests) this.counters[kind.counter]++;
    engine().runBatchSync(operations, (index, status, transferred) => {
      const { kind } = requests[index]!;
      if (status === 0) outcomes.enter(index, this.#moved(kind, transferred));
      else {
        const error = this.#failed(requests[index]!, status, transferred);
        outcomes.enter(index, 0, error);
      }
    });
  }

  #operation(
    { kind, flags, loan, start, position, length }: Request,
  ): Operation {
    const { code } = kind;
    return { code, flags, file: this.#file, loan, start, position, length };
  }

  /** Counts the bytes that an operation moved. */
  #moved(kind: Kind, bytes: number): number {
    if (kind === READ) this.counters.bytesRead += bytes;
    else if (kind.counter === "writes") this.counters.bytesWritten += bytes;
    return bytes;
  }

  /** Counts a failure; gives what to throw. */
  #failed(
    { kind, length }: Request,
    status: number,
    transferred: number,
  ): unknown {
    this.counters.errors++;
    this.#moved(kind, transferred);
    const error = new OperationError(kind.code, status, transferred);
    return operationFailure(error, kind.syscall, this.#path, length);
  }

  /** Resolves when no operation is in flight. */
  async idle(): Promise<void> {
    if (this.counters.inFlight === 0) return;
    await new Promise<void>((resolve) => this.#idle = resolve);
  }

  /**
   * Blocks until the operations are over that are in flight (of this isolate, in fact), and settles
   * them.
   */
  settleSync(): void {
    if (this.counters.inFlight > 0) engine().settleSync();
  }
}
