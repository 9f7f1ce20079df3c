/**
 * A simulated disk for tests of programs that must not lose data: it loses power, fails as planned,
 * and repeats a run exactly.
 *
 * @example A program against every power cut
 * ```ts
 * import type { Storage } from "@basalt/io/storage";
 * import { SimulatedCrashError, SimulatedDisk } from "@basalt/io/testing";
 * import { assertEquals } from "@std/assert";
 *
 * function publish(storage: Storage): void {
 *   storage.openSync("/new", { write: true, createNew: true }).closeSync();
 *   storage.renameSync("/new", "/current");
 *   storage.syncDirectorySync("/");
 * }
 *
 * for (let number = 1;; number++) {
 *   const disk = new SimulatedDisk({ seed: number });
 *   disk.failAt(number, { crash: true });
 *   try {
 *     publish(disk);
 *     assertEquals(disk.crash("none").files(), ["/current"]);
 *     break;
 *   } catch (error) {
 *     if (!(error instanceof SimulatedCrashError)) throw error;
 *     const left = disk.crash("random").files();
 *     assertEquals(left.length <= 1, true);
 *   }
 * }
 * ```
 *
 * @module
 */
export type {
  Fault,
  Operation,
  OperationDetails,
  OperationHook,
  OperationKind,
  TracedOperation,
} from "./operation.ts";
export type { DeviceLatency, SimulatedDiskOptions } from "./options.ts";
export { SeededRandom } from "./random.ts";
export { SimulatedCrashError } from "./simulated_crash_error.ts";
export { SimulatedDisk } from "./simulated_disk.ts";
export type { FailAtOptions, UnreadableBlock } from "./simulated_disk.ts";
export { SimulatedFile } from "./simulated_file.ts";
export { SimulatedMisuseError } from "./simulated_misuse_error.ts";
export type { MisuseReason } from "./simulated_misuse_error.ts";
export type { CrashChoice, UnsyncedUnit } from "./unsynced.ts";
