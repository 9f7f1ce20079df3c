import type { CarriedCursor } from "./carried_cursors.ts";
import type { ConsumerOffset } from "./consumer_offsets.ts";
import type { IggyFormat } from "./format.ts";

/** A file of the copy. */
export interface TransferredFile {
  /** Its name. */
  name: string;
  /** Its size in bytes. */
  byteLength: number;
  /** Whether the target had it already, from a transfer that was interrupted. */
  wasThere: boolean;
}

/** How many batches or segments were split for the other format, and why. */
export interface Splits {
  /** Batches split within equal append times, because a gathered batch is at most 1 MiB. */
  batchesByLength: number;
  /** Batches split because the producer times lie more than 2^32 - 1 µs apart. */
  batchesByTime: number;
  /** Segments split because a segment of Iggy 0.8 is at most 1 GiB and one batch. */
  segments: number;
}

/** The result of an export or an import, or the plan of one. */
export interface TransferReport {
  /** Whether it was done; `false` for a `dryRun`. */
  isDone: boolean;
  /** The directory that was read; it does not change. */
  from: string;
  /** The directory that got the copy. */
  to: string;
  /** The format of the partition; `undefined` for an import of a partition without messages. */
  format: IggyFormat | undefined;
  /** The number of the partition. */
  partition: number;
  /** Offset of the first message. */
  firstOffset: number;
  /** Offset that the next message gets. */
  nextOffset: number;
  /** Number of messages. */
  messages: number;
  /** Number of batches in the log. */
  batches: number;
  /** Number of segments in the target. */
  segments: number;
  /** Bytes of the source's `.log` files. */
  bytesRead: number;
  /** Bytes of the target's `.log` and `.index` files. */
  bytesWritten: number;
  /** The batches and segments that were split for the other format. */
  splits: Splits;
  /** Number of batches that lost their producer section, which Iggy 0.9 refuses. */
  producersRemoved: number;
  /** Zeros after the data of a segment that were not copied, in bytes. */
  zerosCut: number;
  /** Bytes after the last whole message that were not copied, with `tornTail: "cut"`. */
  tornBytesCut: number;
  /** The files of the target, in the order of their offsets; empty for a `dryRun`. */
  files: readonly TransferredFile[];
  /** Empty files in the target that were replaced; a server makes them for a new partition. */
  replaces: readonly string[];
  /** Names in the source that are not segments, and are not copied. */
  leaves: readonly string[];
  /** The cursors of the log that correspond to consumers of the partition. */
  cursors: readonly CarriedCursor[];
  /** The consumer offsets that a server had stored in the partition. */
  consumerOffsets: readonly ConsumerOffset[];
}

/** What a report says before anything is copied. */
export type TransferSubject = Pick<
  TransferReport,
  | "from"
  | "to"
  | "format"
  | "partition"
  | "firstOffset"
  | "leaves"
  | "consumerOffsets"
>;

/** Begins a report; the conversion counts. */
export function beginReport(subject: TransferSubject): TransferReport {
  return {
    ...subject,
    isDone: false,
    nextOffset: subject.firstOffset,
    messages: 0,
    batches: 0,
    segments: 0,
    bytesRead: 0,
    bytesWritten: 0,
    splits: { batchesByLength: 0, batchesByTime: 0, segments: 0 },
    producersRemoved: 0,
    zerosCut: 0,
    tornBytesCut: 0,
    files: [],
    replaces: [],
    cursors: [],
  };
}
