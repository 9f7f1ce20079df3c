import type { Operation } from "./operation.ts";
import { ThreadEngine } from "./thread_engine.ts";

/** How operations in flight are run: by a ring shared with the kernel, by threads of the library, or each in place. */
export type EngineKind = "uring" | "threads" | "plain";

/** Runs operations, in flight or in place. */
export interface Engine {
  /** How operations in flight are run. */
  readonly kind: EngineKind;
  /** Why it is this one, in words. */
  readonly reason: string;
  /** Operations that have not completed, those that wait for a place included. */
  readonly pending: number;

  /**
   * Starts an operation. Resolves to the bytes read or written, 0 for other operations.
   *
   * Any number may be submitted: what is beyond the bound of the engine waits, in order. Operations in flight run in any order.
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

  /** Blocks until nothing is in flight and nothing waits. The promises settle in a later turn of the event loop. */
  settleSync(): void;
}

let instance: Engine | undefined;

/** The engine of this isolate, made at first use. It keeps the process alive only while an operation is in flight. */
export function engine(): Engine {
  return instance ??= new ThreadEngine();
}
