/** What each code means, in words. */
const TEXTS: Readonly<Record<NoSpaceCode, string>> = {
  ENOSPC: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EFBIG: "file too large for RLIMIT_FSIZE or the filesystem",
};

/** The codes of the kernel that mean that a file cannot grow. */
export type NoSpaceCode = "ENOSPC" | "EDQUOT" | "EFBIG";

/** Returns whether a code of the kernel means that a file cannot grow. */
export function isNoSpaceCode(code: string | undefined): code is NoSpaceCode {
  return code !== undefined && Object.hasOwn(TEXTS, code);
}

/**
 * Reports that a write had no room: the disk or the quota is full, or the file may not grow
 * further.
 *
 * After making room, write the same bytes again: nothing else is wrong with the file.
 *
 * @example Fields and message
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
export class NoSpaceError extends Error {
  /** `"NoSpaceError"`. */
  override readonly name: string = "NoSpaceError";
  /**
   * `"ENOSPC"`: the filesystem is full. `"EDQUOT"`: the user's quota is. `"EFBIG"`: the file is as
   * large as `RLIMIT_FSIZE` or the filesystem allows.
   */
  declare readonly code: NoSpaceCode;
  /** The system call that failed. */
  declare readonly syscall: string;
  /** The file that was to grow. */
  declare readonly path: string;
  /** How many bytes were to be written or allocated. */
  declare readonly requestedBytes: number;
  /** How many of them were written before the space ended; 0 for an allocation. */
  declare readonly writtenBytes: number;
  /** The offset after the last durable message, where a log was being written. */
  declare readonly durableOffset?: number;

  /** Makes the error. */
  constructor(
    fields: Omit<NoSpaceError, keyof Error | "withDurableOffset">,
    options?: ErrorOptions,
  ) {
    const { code, syscall, path, requestedBytes, writtenBytes } = fields;
    const durable = fields.durableOffset === undefined
      ? ""
      : `, durable up to offset ${fields.durableOffset}`;
    super(
      `${code}: ${
        TEXTS[code]
      }, ${syscall} '${path}': wrote ${writtenBytes} of ${requestedBytes} bytes${durable}`,
      options,
    );
    Object.assign(this, fields);
  }

  /** Returns the error with the durable offset of a log; this one is its `cause`. */
  withDurableOffset(durableOffset: number): NoSpaceError {
    return new NoSpaceError({ ...this, durableOffset }, { cause: this });
  }
}
