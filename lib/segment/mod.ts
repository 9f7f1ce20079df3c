/**
 * One segment: its appender, its readers, its recovery. The caller opens the files.
 *
 * @module
 */
export { describeStop } from "../codec/mod.ts";
export type { IndexEntry, Message, StopReason } from "../codec/mod.ts";
export { BackpressureError } from "./write/backpressure_error.ts";
export { BatchIterator, iterateSync } from "./read/batch_iterator.ts";
export type { BatchSource, LogIterator } from "./read/batch_iterator.ts";
export { findBatchAfter } from "./recover/batch_search.ts";
export { BlockReader, RESTART_BYTES } from "./read/block_reader.ts";
export { checkPool } from "./checks.ts";
export {
  corruption,
  CorruptSegmentError,
  faultKindOf,
} from "./read/corrupt_segment_error.ts";
export type { FaultKind } from "./read/corrupt_segment_error.ts";
export type { HistogramSnapshot } from "./write/histogram.ts";
export { IndexCheck } from "./recover/index_check.ts";
export type { WrongEntries } from "./recover/index_check.ts";
export { IndexLookup } from "./read/index_lookup.ts";
export {
  INDEX_INTERVAL_BYTES,
  MAX_OFFSET,
  MAX_SEGMENT_BYTES,
} from "./layout.ts";
export { MessageBatch } from "./read/message_batch.ts";
export { PoisonedError } from "./write/poisoned_error.ts";
export { Selection } from "./read/read_options.ts";
export type {
  CheckedReadOptions,
  ReadOptions,
  ReadStart,
} from "./read/read_options.ts";
export { recoverSegment } from "./recover/recovery.ts";
export type { RecoveryReport } from "./recover/recovery.ts";
export { Resync } from "./recover/resync.ts";
export {
  checkIndexEnd,
  readSealedEnd,
  rebuildIndex,
  sealedState,
  verifySealed,
} from "./recover/sealed.ts";
export type { RebuiltIndex, SealedEnd } from "./recover/sealed.ts";
export { seek } from "./read/seek.ts";
export { SegmentReader } from "./read/segment_reader.ts";
export type { SegmentReaderOptions } from "./read/segment_reader.ts";
export { SegmentScan } from "./read/segment_scan.ts";
export type { BatchPlace, ScanStart, ScanStop } from "./read/segment_scan.ts";
export { emptyState } from "./segment_state.ts";
export type { SegmentFiles, SegmentState } from "./segment_state.ts";
export { SegmentWriter } from "./write/segment_writer.ts";
export type { SegmentWriterOptions } from "./write/segment_writer.ts";
export { SparseIndex } from "./sparse_index.ts";
export { ActiveSegment } from "./write/active_segment.ts";
export { IndexWriter } from "./write/index_writer.ts";
export { Appender } from "./write/appender.ts";
export type { AppenderOwner } from "./write/appender.ts";
export { InPlacePolicy } from "./write/in_place.ts";
export { OffsetConflictError } from "./write/offset_conflict_error.ts";
export type { FlatPayloads } from "./write/payload_batch.ts";
export type { AppendOptions, ExpectOptions } from "./write/prepared_message.ts";
export { isZero } from "./recover/zeros.ts";
