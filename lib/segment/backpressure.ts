/**
 * There is no room in memory for the message; nothing was appended. Wait for `ready()` and try again.
 */
export class Backpressure extends Error {
  /** `"Backpressure"`. */
  override readonly name: string = "Backpressure";

  /** Makes the error; `reason` says what is full. */
  constructor(reason: string, options?: { cause?: unknown }) {
    super(`Cannot append now, wait for ready(): ${reason}`, options);
  }
}
