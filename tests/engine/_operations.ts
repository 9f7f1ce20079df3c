/** Operations of the engine with promises, and their outcomes as tests see them. */
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

/** An operation that calls a function when it has completed. */
export class Operation extends PendingOperation {
  told = (): void => {};

  override completed(): void {
    this.told();
  }
}

/** Makes a record. Fields that are not given are 0. */
export function operation(
  op: OperationKind,
  file: number,
  fields: Partial<PendingOperation> = {},
): Operation {
  return Object.assign(new Operation(), { op, file }, fields);
}

/** Starts an operation. Resolves to the bytes that it moved. */
export function submit(operation: Operation): Promise<number> {
  return new Promise((resolve, reject) => {
    operation.told = () =>
      operation.status === 0
        ? resolve(operation.transferred)
        : reject(new OperationFailed(operation));
    engine().start(operation);
  });
}

/** Starts an operation, and calls `told` when it has completed. */
export function start(operation: Operation, told: () => void): void {
  operation.told = told;
  engine().start(operation);
}

/** Runs an operation in place. Returns the bytes that it moved. */
export function runSync(operation: PendingOperation): number {
  engine().runSync(operation);
  if (operation.status !== 0) throw new OperationFailed(operation);
  return operation.transferred;
}
