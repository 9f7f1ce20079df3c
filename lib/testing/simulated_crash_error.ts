/**
 * Reports that the simulated machine lost power, or that the process was killed. The disk refuses
 * all further calls.
 *
 * @example Continuing after a power cut
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
