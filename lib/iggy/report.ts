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

/** How many batches, or segments, the other format made smaller, and why. */
export interface Splits {
  /** Batches that end within equal append times, because a gathered batch is at most 1 MiB. */
  batchesByLength: number;
  /** The same, because the producer times lie more than 2^32 - 1 µs apart. */
  batchesByTime: number;
  /** Segments that became several, because a segment of Iggy 0.8 is at most 1 GiB and a batch. */
  segments: number;
}

/** What an export or an import does, or did. */
export interface TransferReport {
  /** Whether it was done; `false` for a `dryRun`. */
  isDone: boolean;
  /** The directory that was read, and stays as it is. */
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
  /** What the other format made smaller. */
  splits: Splits;
  /** Number of batches that lost their producer section, which Iggy 0.9 refuses. */
  producersRemoved: number;
  /** Zeros after the data of a segment that were not copied, in bytes. */
  zerosCut: number;
  /** Bytes after the last whole message that were not copied, with `tornTail: "cut"`. */
  tornBytesCut: number;
  /** The files of the target, in the order of their offsets; empty for a `dryRun`. */
  files: readonly TransferredFile[];
  /** Empty files in the target that gave way: a server makes them for a new partition. */
  replaces: readonly string[];
  /** Names in the source that are no segments, and stay behind. */
  leaves: readonly string[];
  /** The cursors of the log that are consumers of the partition, in both directions. */
  cursors: readonly CarriedCursor[];
  /** How far consumers had come in the partition before: a server stored it. */
  consumerOffsets: readonly ConsumerOffset[];
}

/** The numbers of a report, which the conversion counts. */
export type Counts =
  & Pick<
    TransferReport,
    | "messages"
    | "batches"
    | "bytesRead"
    | "bytesWritten"
    | "splits"
    | "producersRemoved"
    | "zerosCut"
    | "tornBytesCut"
  >
  & { nextOffset: number };

/** Returns the counts of a conversion that has not begun. */
export function noCounts(nextOffset: number): Counts {
  return {
    messages: 0,
    batches: 0,
    bytesRead: 0,
    bytesWritten: 0,
    splits: { batchesByLength: 0, batchesByTime: 0, segments: 0 },
    producersRemoved: 0,
    zerosCut: 0,
    tornBytesCut: 0,
    nextOffset,
  };
}
