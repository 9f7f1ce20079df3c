/**
 * A directory of segments as one log.
 *
 * @module
 */
export { Cursor } from "./cursor/cursor.ts";
export type {
  CommitOptions,
  CursorMessageOptions,
  CursorReadOptions,
  CursorTarget,
} from "./cursor/cursor.ts";
export { makeCursor, readCursors } from "./cursor/cursor_file.ts";
export type { StoredCursor } from "./cursor/cursor_file.ts";
export type { CursorLag } from "./cursor/cursor_source.ts";
export type { CursorInfo, CursorOptions } from "./cursor/log_cursors.ts";
export { listDirectory } from "./open/directory.ts";
export type { ListedSegment, Listing } from "./open/directory.ts";
export { loadEvents } from "./events.ts";
export type {
  CursorEvent,
  FlushEvent,
  LogEvents,
  PoisonEvent,
  RecoveryEvent,
  RetainEvent,
  RollEvent,
} from "./events.ts";
export type { LogFault } from "./repair/fault.ts";
export { inspectLog, inspectLogSync } from "./repair/inspect.ts";
export type {
  LogInspection,
  OpeningForecast,
  SegmentInspection,
} from "./repair/inspect.ts";
export { Log } from "./log.ts";
export type { LogOptions, LogReaderOptions } from "./log_options.ts";
export type {
  FollowOptions,
  ReaderStreamOptions,
  StreamOptions,
  TailOptions,
} from "./read/following.ts";
export type { ReaderStats } from "./read/directory_changes.ts";
export { LogReader } from "./log_reader.ts";
export type { LogReadOptions } from "./log_reader.ts";
export { directoryMetrics, metricsText } from "./metrics.ts";
export type { LogStats, OpenCursor } from "./log_stats.ts";
export type { LogPlace } from "./record/meta.ts";
export { join, segmentName, TEMPORARY_SUFFIX } from "./names.ts";
export { OffsetOutOfRangeError } from "./read/offset_out_of_range_error.ts";
export type { OpeningReport } from "./open/opening.ts";
export { readOwner } from "./record/owner_file.ts";
export type { OwnerRecord } from "./record/owner_file.ts";
export {
  planRepair,
  planRepairSync,
  repairLog,
  repairLogSync,
} from "./repair/repair.ts";
export type { RepairOptions, RepairPlanOptions } from "./repair/repair.ts";
export {
  RepairChoiceError,
  RepairOutdatedError,
} from "./repair/repair_plan.ts";
export type {
  RepairKeep,
  RepairPlan,
  RepairStep,
} from "./repair/repair_plan.ts";
export { salvageLog, salvageLogSync } from "./repair/salvage.ts";
export type { SalvageOptions } from "./repair/salvage.ts";

export type { RetainNowOptions, RetainOptions } from "./retain/plan.ts";
export { previewRetention } from "./retain/retention.ts";
export type { RetentionReport } from "./retain/retention.ts";
export type { RetentionStats } from "./retain/retainer.ts";
export { unlessGone } from "./open/_segment_files.ts";
export { verifyLog, verifyLogSync } from "./repair/verify.ts";
export type { VerifyOptions, VerifyProgress } from "./repair/verify.ts";
