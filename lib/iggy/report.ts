import type { ConsumerOffset, Partition } from "./partition.ts";
import type { Transfer, TransferredFile } from "./transfer.ts";

/** What a hand-over or a take-over does, or did. */
export interface TransferReport {
  /** Whether it was done; `false` for a `dryRun`. */
  done: boolean;
  /** Where the log was, and still is. */
  from: string;
  /** Where the copy goes. */
  to: string;
  /** The version of the server that last started on the data directory. */
  serverVersion: string;
  /** The stream's id and name. */
  stream: { id: number; name: string };
  /** The topic's id and name. */
  topic: { id: number; name: string };
  /** The partition's id. */
  partition: number;
  /** The offset of the first message. */
  firstOffset: number;
  /** The offset that the next message gets. */
  nextOffset: number;
  /** The log's files. */
  files: readonly TransferredFile[];
  /** Bytes of the files that the target did not have already. */
  copiedBytes: number;
  /** Empty files in the target that give way. */
  replaces: readonly string[];
  /** Names in the source that are none of the log's, and stay behind. */
  leaves: readonly string[];
  /** What consumers stored in the partition. It is not changed: a server starts them where they were, or at the end if that lies before. */
  consumerOffsets: readonly ConsumerOffset[];
}

/** Puts a report together. */
export function reportOf(
  partition: Partition,
  transfer: Transfer,
  nextOffset: number,
): TransferReport {
  const { from, to, firstOffset, files, replaces, leaves } = transfer;
  const { version, stream, topic, id, consumerOffsets } = partition;
  return {
    done: false,
    from,
    to,
    serverVersion: version,
    stream,
    topic,
    partition: id,
    firstOffset,
    nextOffset,
    files,
    copiedBytes: files.reduce(
      (sum, file) => sum + (file.there ? 0 : file.byteLength),
      0,
    ),
    replaces,
    leaves,
    consumerOffsets,
  };
}
