import { errnoName, STATUS } from "../native/mod.ts";
import { OPERATION } from "./operation.ts";

/** An operation failed. The storage above makes the error for its caller of it: only there the path is known. */
export class OperationError extends Error {
  /** `"OperationError"`. */
  override readonly name: string = "OperationError";
  /** The negative status: an `errno` value, negated, or one of `STATUS`. */
  readonly status: number;
  /** The name of the status, such as `"ENOSPC"` or `"NO_SUCH_HANDLE"`. */
  readonly code: string;
  /** Bytes read or written before it failed. */
  readonly transferred: number;

  /** Makes the error for a negative status. */
  constructor(operation: number, status: number, transferred: number) {
    const code = statusName(status);
    super(
      `Operation '${
        operationName(operation)
      }' failed with ${code} after ${transferred} bytes`,
    );
    this.status = status;
    this.code = code;
    this.transferred = transferred;
  }
}

function operationName(operation: number): string {
  const found = Object.entries(OPERATION).find(([, code]) =>
    code === operation
  );
  return found?.[0] ?? String(operation);
}

function statusName(status: number): string {
  const own = Object.entries(STATUS).find(([, value]) => value === status);
  return own?.[0] ?? errnoName(-status);
}
