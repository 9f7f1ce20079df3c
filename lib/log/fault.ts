import type { FaultKind } from "../segment/mod.ts";

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
export type FoundFault = Pick<LogFault, "kind" | "message"> & Partial<LogFault>;

/** Returns a fault of a file with all its fields. */
export function logFault(
  path: string,
  { position = 0, byteLength = 0, offset = 0, kind, message }: FoundFault,
): LogFault {
  return { path, position, byteLength, offset, kind, message };
}
