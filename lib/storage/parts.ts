/**
 * What another implementation of `Storage` shares with the disk, so that both check and fail alike:
 * for `lib/testing`, and no part of the public API.
 *
 * @module
 */
export { openRequest, storageOptions } from "./direct_file_options.ts";
export type { OpenRequest } from "./direct_file_options.ts";
export { checkDelay } from "./duration.ts";
export { closedError, failure } from "./errors.ts";
export { lendRange } from "./lend_range.ts";
export { fileCallbacks, storageTasks } from "./file_callbacks.ts";
export type { FileCallbacks, StorageTasks } from "./file_callbacks.ts";
export { parentOf, pathString } from "./paths.ts";
