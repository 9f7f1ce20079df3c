/**
 * A write or sync of the log failed, so what the disk holds behind the durable offset is unknown until the log is opened anew.
 *
 * The failed operation is never repeated: after a failed `fsync(2)` Linux may drop the data and report success the next time (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
 */
export class Poisoned extends Error {
  /** `"Poisoned"`. */
  override readonly name: string = "Poisoned";
  /** Messages below this offset are durable; those from it on may or may not be there after opening again. */
  readonly durableOffset: number;

  /** Makes the error; `cause` is what the system said. */
  constructor(path: string, durableOffset: number, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(
      `Log '${path}' takes no more messages after a failed write or sync: messages below offset ${durableOffset} are durable, open it again to learn of the others: ${why}`,
      { cause },
    );
    this.durableOffset = durableOffset;
  }
}
