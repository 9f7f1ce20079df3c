/**
 * What the simulation shares with the disk itself, so that both check and fail alike.
 *
 * @module
 */
export { checkAligned, checkInteger } from "../storage/alignment.ts";
export { openRequest } from "../storage/direct_file_options.ts";
export type { OpenRequest } from "../storage/direct_file_options.ts";
export { closedError, failure } from "../storage/errors.ts";
export { NoSpace } from "../storage/mod.ts";
export { pathString } from "../storage/paths.ts";
