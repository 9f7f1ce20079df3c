/**
 * Helpers that several rooms need: computations that run with promises or blocking, and signals.
 *
 * @module
 */
export { onAbort } from "./abort.ts";
export {
  type BegunStep,
  begunStep,
  drive,
  Driver,
  driveSync,
  driveWith,
  inPlace,
  type Step,
  step,
  stream,
  streamSync,
  type Task,
  together,
} from "./task.ts";
