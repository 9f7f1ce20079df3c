/** The codes that an export returns instead of a value, as in the list of `rust/src/status.rs`. */
export const STATUS = {
  PANIC: -5000,
  BAD_ARGUMENT: -5001,
  POOL_LIMIT: -5002,
  NO_SUCH_HANDLE: -5003,
  NOT_OWNER: -5004,
  TABLE_FULL: -5005,
} as const;

/** Codes below this one are Basalt's; the others are the kernel's `errno`, negated. */
export const FIRST_OWN_STATUS = -4095;
