/**
 * Another writer holds the lock of a directory.
 *
 * @example What it tells
 * ```ts
 * import { Locked } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new Locked("/data/log", "process 4711");
 * assertEquals(error.message, "Cannot lock '/data/log': process 4711 holds it");
 * ```
 */
export class Locked extends Error {
  /** `"Locked"`. */
  override readonly name: string = "Locked";
  /** The directory. */
  readonly path: string;
  /** Who holds it, as far as it is known, in words. */
  readonly owner: string | undefined;

  /** Makes the error. */
  constructor(path: string, owner?: string, options?: ErrorOptions) {
    super(
      `Cannot lock '${path}': ${owner ?? "another process or log"} holds it`,
      options,
    );
    this.path = path;
    this.owner = owner;
  }
}
