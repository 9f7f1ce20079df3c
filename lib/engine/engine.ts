import type { Flight, Operation } from "./operation.ts";
import type { EngineKind } from "./options.ts";

/** Runs operations, in flight or in place. */
export interface Engine {
  /** How operations in flight are run. */
  readonly kind: EngineKind;
  /** Why it is this one, in words. */
  readonly reason: string;
  /** Operations that have not completed, those that wait for a place included. */
  readonly pending: number;
  /**
   * Whether nothing is pending, everything that is over was told, and the program's thread may wait
   * in place.
   */
  readonly isIdle: boolean;

  /**
   * Starts an operation. Any number may be started: what is beyond the bound of the engine waits,
   * in order. Operations in flight run in any order.
   *
   * @throws {RangeError} If a number of the operation is out of its range; then it is not started.
   */
  start(flight: Flight): void;

  /**
   * Starts an operation. Resolves to the bytes read or written, 0 for other operations.
   *
   * @throws {OperationError} (rejects) If it fails.
   * @throws {RangeError} (rejects) If a number of the operation is out of its range.
   */
  submit(operation: Operation): Promise<number>;

  /**
   * Runs an operation while the caller waits; others may be in flight meanwhile.
   *
   * @returns The bytes read or written, 0 for other operations.
   * @throws {OperationError} If it fails.
   * @throws {RangeError} If a number of the operation is out of its range.
   */
  runSync(operation: Operation): number;

  /**
   * Runs operations while the caller waits, many at a time, in any order.
   *
   * @param over Called for each when all are over, in the order of `operations`: its status, and
   *   the bytes that it moved.
   * @throws {RangeError} If a number of an operation is out of its range; then none is run.
   */
  runBatchSync(
    operations: readonly Operation[],
    over: (index: number, status: number, transferred: number) => void,
  ): void;

  /**
   * Blocks until what is in flight or waits is over, and settles it before it returns: what waits
   * for its promises continues in later turns.
   *
   * What the settling starts is in flight then. It may be called while an operation is settled.
   */
  settleSync(): void;
}
