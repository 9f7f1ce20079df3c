/**
 * Helpers that several rooms need: computations that run with promises or blocking, signals, checks
 * of arguments, bytes and times.
 *
 * @module
 */
export { abortable, delay, onAbort } from "./abort.ts";
export { formatBytes, isZero, roundDown, roundUp, sameBytes } from "./bytes.ts";
export { checkChoice, checkInteger, shown } from "./checks.ts";
export { isPermitted, parentOf } from "./permission.ts";
export {
  begin,
  drive,
  Driver,
  driveSync,
  driveWith,
  inPlace,
  pair,
  perform,
  runAll,
  type Step,
  step,
  stepInPlace,
  stream,
  streamSync,
  type Task,
  together,
} from "./task.ts";
export { type InstantLike, microsOf, type Time } from "./time.ts";
