/**
 * Parts of the disk's storage that another implementation shares, so that both check and fail
 * alike:
 * for `lib/testing`, and no part of the public API.
 *
 * @module
 */
export { openRequest, storageOptions } from "./direct_file_options.ts";
export type { OpenRequest } from "./direct_file_options.ts";
export { checkDelay } from "./duration.ts";
export { closedError, failure } from "./errors.ts";
export { lendRange } from "./lend_range.ts";
export { fileSteps, storageTasks } from "./file_steps.ts";
export type { FileSteps, StorageTasks } from "./file_steps.ts";
export { pathString } from "./paths.ts";
