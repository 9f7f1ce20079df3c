/**
 * One segment: its writer, its reader, its recovery. Files come from outside, open.
 *
 * @module
 */
export { ActiveSegment } from "./active_segment.ts";
export type {
  SegmentFiles,
  SegmentState,
  SegmentTaskFiles,
} from "./active_segment.ts";
export { Backpressure } from "./backpressure.ts";
export type { BackpressureFields } from "./backpressure.ts";
export { type BatchPass, iterate, iterateSync } from "./batch_iterator.ts";
export { RESTART_BYTES } from "./block_reader.ts";
export { checkPool } from "./checks.ts";
export { CorruptSegment } from "./corrupt_segment.ts";
export type { CorruptionFields, CorruptionKind } from "./corrupt_segment.ts";
export { corruption, Cursor, describeStop } from "./cursor.ts";
export type { CursorStop } from "./cursor.ts";
export { GroupCommit } from "./group_commit.ts";
export type { GroupCommitStats } from "./group_commit.ts";
export type { HistogramSnapshot } from "./histogram.ts";
export { CHECKPOINT_BYTES, MAX_OFFSET, MAX_SEGMENT_BYTES } from "./layout.ts";
export { IndexCheck } from "./index_check.ts";
export type { WrongEntries } from "./index_check.ts";
export { IndexLookup, isPlausible } from "./index_lookup.ts";
export { MessageBatch } from "./message_batch.ts";
export { payloadBatch } from "./payload_batch.ts";
export type { FlatPayloads, PayloadBatch } from "./payload_batch.ts";
export { hasMessageBehind } from "./message_search.ts";
export { Poisoned } from "./poisoned.ts";
export { prepareMessage } from "./prepared_message.ts";
export type { AppendOptions, PreparedMessage } from "./prepared_message.ts";
export { checkReadOptions, ReadLimit } from "./read_options.ts";
export type { ReadOptions } from "./read_options.ts";
export { rebuildIndex, recoverSegment } from "./recovery.ts";
export type { Recovered, RecoveryReport } from "./recovery.ts";
export { sealedExtent, sealedState } from "./sealed.ts";
export { SegmentPass } from "./segment_pass.ts";
export type { KnownPlace, ReadStart } from "./segment_pass.ts";
export { SegmentReader } from "./segment_reader.ts";
export type { SegmentReaderOptions } from "./segment_reader.ts";
export { SegmentWriter } from "./segment_writer.ts";
export type { SegmentWriterOptions } from "./segment_writer.ts";
export { Survey } from "./survey.ts";
export { Timeline } from "./timeline.ts";
export { fits, WriteBuffer } from "./write_buffer.ts";
export type { WriteBufferShared, WriteBufferStart } from "./write_buffer.ts";
export { isZero } from "./zeros.ts";
