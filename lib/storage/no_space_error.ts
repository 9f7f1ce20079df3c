/** What each code means, in words. */
const TEXTS: Readonly<Record<NoSpaceCode, string>> = {
  ENOSPC: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EFBIG: "file too large for RLIMIT_FSIZE or the filesystem",
};

/** The codes of the kernel that mean that a file cannot grow. */
export type NoSpaceCode = "ENOSPC" | "EDQUOT" | "EFBIG";

/** Whether a code of the kernel means that a file cannot grow. */
export function isNoSpaceCode(code: string | undefined): code is NoSpaceCode {
  return code !== undefined && Object.hasOwn(TEXTS, code);
}

/** What a {@linkcode NoSpaceError} carries. */
export interface NoSpaceFields {
  /**
   * `"ENOSPC"`: the filesystem is full. `"EDQUOT"`: the user's quota is. `"EFBIG"`: the file is as
   * large as `RLIMIT_FSIZE` or the filesystem allows.
   */
  code: NoSpaceCode;
  /** The system call that failed. */
  syscall: string;
  /** The file that was to grow. */
  path: string;
  /** How many bytes were to be written or allocated. */
  requestedBytes: number;
  /** How many of them were written before the space ended; 0 for an allocation. */
  writtenBytes: number;
  /** The offset after the last durable message, where a log was being written. */
  durableOffset?: number;
}

/**
 * There is no room for what was to be written: the disk is full, or the quota of its user, or the
 * file may not grow further.
 *
 * Make room and write the same bytes again: nothing else is wrong with the file.
 *
 * @example What it tells
 * ```ts
 * import { NoSpaceError } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new NoSpaceError({
 *   code: "ENOSPC",
 *   syscall: "write",
 *   path: "0.log",
 *   requestedBytes: 8192,
 *   writtenBytes: 4096,
 * });
 * assertEquals(
 *   error.message,
 *   "ENOSPC: no space left on device, write '0.log': wrote 4096 of 8192 bytes",
 * );
 * ```
 */
export class NoSpaceError extends Error implements NoSpaceFields {
  /** `"NoSpaceError"`. */
  override readonly name: string = "NoSpaceError";
  /**
   * `"ENOSPC"`: the filesystem is full. `"EDQUOT"`: the user's quota is. `"EFBIG"`: the file is as
   * large as `RLIMIT_FSIZE` or the filesystem allows.
   */
  readonly code: NoSpaceCode;
  /** The system call that failed. */
  readonly syscall: string;
  /** The file that was to grow. */
  readonly path: string;
  /** How many bytes were to be written or allocated. */
  readonly requestedBytes: number;
  /** How many of them were written before the space ended; 0 for an allocation. */
  readonly writtenBytes: number;
  /** The offset after the last durable message, where a log was being written. */
  declare readonly durableOffset?: number;

  /** Makes the error. */
  constructor(fields: NoSpaceFields, options?: ErrorOptions) {
    super(message(fields), options);
    this.code = fields.code;
    this.syscall = fields.syscall;
    this.path = fields.path;
    this.requestedBytes = fields.requestedBytes;
    this.writtenBytes = fields.writtenBytes;
    if (fields.durableOffset !== undefined) {
      this.durableOffset = fields.durableOffset;
    }
  }

  /** The same error, told by a log that knows what of it is durable; this one is its `cause`. */
  withDurableOffset(durableOffset: number): NoSpaceError {
    return new NoSpaceError({ ...this, durableOffset }, { cause: this });
  }
}

function message(fields: NoSpaceFields): string {
  const { code, syscall, path, requestedBytes, writtenBytes, durableOffset } =
    fields;
  const text = TEXTS[code];
  const durable = durableOffset === undefined
    ? ""
    : `, durable up to offset ${durableOffset}`;
  return `${code}: ${text}, ${syscall} '${path}': wrote ${writtenBytes} of ${requestedBytes} bytes${durable}`;
}
