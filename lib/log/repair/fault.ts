import {
  describeStop,
  type FaultKind,
  faultKindOf,
  type ScanStop,
} from "../../segment/mod.ts";

/** A fault in a log's directory: something that its writer never left there. */
export interface LogFault {
  /** The file. */
  path: string;
  /** The byte in the file at which it begins. */
  position: number;
  /** The length of the fault in bytes; 0 if something is missing. */
  byteLength: number;
  /** The offset that the first message there has or should have. */
  offset: number;
  /** What is wrong. */
  kind: FaultKind;
  /** The fault in words. */
  message: string;
}

/** A fault whose position, length and offset are 0 if left out. */
export type FoundFault =
  & Pick<LogFault, "path" | "kind" | "message">
  & Partial<LogFault>;

/** Returns a fault with all its fields. */
export function logFault(
  { path, position = 0, byteLength = 0, offset = 0, kind, message }: FoundFault,
): LogFault {
  return { path, position, byteLength, offset, kind, message };
}

/**
 * Returns the fault of a `.log` in which the bytes from a stop to `end` are no valid batches.
 *
 * @param more What to add to the description.
 */
export function damage(
  path: string,
  { reason, position, offset }: ScanStop,
  end: number,
  more: string,
): LogFault {
  const kind = faultKindOf(reason);
  const message = `${describeStop(reason)}${more}`;
  const byteLength = end - position;
  return { path, position, byteLength, offset, kind, message };
}
