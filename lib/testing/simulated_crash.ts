/**
 * The simulated machine lost its power, or the process was killed: the disk that throws this refuses everything from now on.
 *
 * @example Going on with what a power cut left
 * ```ts
 * import { SimulatedCrash, SimulatedDisk } from "@basalt/io/testing";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const disk = new SimulatedDisk({ seed: 1 });
 * const after = disk.crash("none");
 * assertThrows(() => disk.listSync("/"), SimulatedCrash);
 * assertEquals(after.listSync("/"), []);
 * ```
 */
export class SimulatedCrash extends Error {
  /** `"SimulatedCrash"`. */
  override readonly name: string = "SimulatedCrash";

  /** Makes the error. */
  constructor(message = "The simulated disk has crashed") {
    super(message);
  }
}
