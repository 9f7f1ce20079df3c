/**
 * The simulated machine lost its power, or the process was killed: the disk that throws this
 * refuses everything from now on.
 *
 * @example Going on with what a power cut left
 * ```ts
 * import { SimulatedCrashError, SimulatedDisk } from "@basalt/io/testing";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const disk = new SimulatedDisk({ seed: 1 });
 * const after = disk.crash("none");
 * assertThrows(() => disk.listSync("/"), SimulatedCrashError);
 * assertEquals(after.listSync("/"), []);
 * ```
 */
export class SimulatedCrashError extends Error {
  /** `"SimulatedCrashError"`. */
  override readonly name: string = "SimulatedCrashError";

  /** Makes the error. */
  constructor(message = "The simulated disk has crashed") {
    super(message);
  }
}
