/** Operations of the engine with promises, and what a test sees of their outcomes. */
import {
  engine,
  type OperationKind,
  PendingOperation,
} from "../../lib/engine/mod.ts";
import { errnoName, STATUS } from "../../lib/native/mod.ts";

/** An operation that failed. */
export class OperationFailed extends Error {
  readonly status: number;
  readonly code: string;
  readonly transferred: number;

  constructor({ status, transferred }: PendingOperation) {
    const own = Object.entries(STATUS).find(([, value]) => value === status);
    const code = own?.[0] ?? errnoName(-status);
    super(code);
    this.status = status;
    this.code = code;
    this.transferred = transferred;
  }
}

/** Makes a record; what is not said is 0. */
export function operation(
  kind: OperationKind,
  file: number,
  fields: Partial<PendingOperation> = {},
): PendingOperation {
  return Object.assign(new PendingOperation(), { kind, file }, fields);
}

/** Starts an operation; resolves to the bytes that it moved. */
export function submit(operation: PendingOperation): Promise<number> {
  return new Promise((resolve, reject) => {
    operation.owner = {
      completed: () =>
        operation.status === 0
          ? resolve(operation.transferred)
          : reject(new OperationFailed(operation)),
    };
    engine().start(operation);
  });
}

/** Starts an operation; calls `told` when it is over. */
export function start(operation: PendingOperation, told: () => void): void {
  operation.owner = { completed: told };
  engine().start(operation);
}

/** Runs an operation in place; returns the bytes that it moved. */
export function runSync(operation: PendingOperation): number {
  engine().runSync(operation);
  if (operation.status !== 0) throw new OperationFailed(operation);
  return operation.transferred;
}
