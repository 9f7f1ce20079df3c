/**
 * A directory of segments as one log.
 *
 * @module
 */
export type { FaultKind, LogFault } from "./fault.ts";
export { Log } from "./log.ts";
export type { LogOptions, LogReaderOptions } from "./log_options.ts";
export { LogReader } from "./log_reader.ts";
export type { LogStats } from "./log_stats.ts";
export { OffsetOutOfRange } from "./offset_out_of_range.ts";
export type { OpeningReport } from "./opening.ts";
export { verifyLog, verifyLogSync } from "./verify.ts";
export type { VerifyOptions, VerifyProgress } from "./verify.ts";
