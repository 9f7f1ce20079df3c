/**
 * One segment: its appender, its readers, its recovery. The caller opens the files.
 *
 * @module
 */
export { describeStop } from "../codec/mod.ts";
export type { IndexEntry, Message, StopReason } from "../codec/mod.ts";
export { BackpressureError } from "./backpressure_error.ts";
export { BatchIterator, iterateSync } from "./batch_iterator.ts";
export type { BatchSource, LogIterator } from "./batch_iterator.ts";
export { findBatchAfter } from "./batch_search.ts";
export { BlockReader, RESTART_BYTES } from "./block_reader.ts";
export { checkPool } from "./checks.ts";
export {
  corruption,
  CorruptSegmentError,
  faultKindOf,
} from "./corrupt_segment_error.ts";
export type { FaultKind } from "./corrupt_segment_error.ts";
export type { HistogramSnapshot } from "./histogram.ts";
export { IndexCheck } from "./index_check.ts";
export type { WrongEntries } from "./index_check.ts";
export { IndexLookup } from "./index_lookup.ts";
export {
  INDEX_INTERVAL_BYTES,
  MAX_OFFSET,
  MAX_SEGMENT_BYTES,
} from "./layout.ts";
export { MessageBatch } from "./message_batch.ts";
export { PoisonedError } from "./poisoned_error.ts";
export { Selection } from "./read_options.ts";
export type {
  CheckedReadOptions,
  ReadOptions,
  ReadStart,
} from "./read_options.ts";
export { recoverSegment } from "./recovery.ts";
export type { RecoveryReport } from "./recovery.ts";
export { Resync } from "./resync.ts";
export {
  checkIndexEnd,
  readSealedEnd,
  rebuildIndex,
  sealedState,
  verifySealed,
} from "./sealed.ts";
export type { RebuiltIndex, SealedEnd } from "./sealed.ts";
export { seek } from "./seek.ts";
export { SegmentReader } from "./segment_reader.ts";
export type { SegmentReaderOptions } from "./segment_reader.ts";
export { SegmentScan } from "./segment_scan.ts";
export type { BatchPlace, ScanStart, ScanStop } from "./segment_scan.ts";
export { emptyState } from "./segment_state.ts";
export type { SegmentFiles, SegmentState } from "./segment_state.ts";
export { SegmentWriter } from "./segment_writer.ts";
export type { SegmentWriterOptions } from "./segment_writer.ts";
export { SparseIndex } from "./sparse_index.ts";
export { ActiveSegment } from "./write/active_segment.ts";
export { IndexWriter } from "./write/index_writer.ts";
export { Appender } from "./write/appender.ts";
export type { AppenderOwner } from "./write/appender.ts";
export { InPlacePolicy } from "./write/in_place.ts";
export { OffsetConflictError } from "./write/offset_conflict_error.ts";
export type { FlatPayloads } from "./write/payload_batch.ts";
export type { AppendOptions, ExpectOptions } from "./write/prepared_message.ts";
export { isZero } from "./zeros.ts";
