/**
 * Helpers that several rooms need: computations that run with promises or blocking.
 *
 * @module
 */
export {
  drive,
  driveSync,
  type Step,
  step,
  stream,
  streamSync,
  type Task,
  together,
} from "./task.ts";
