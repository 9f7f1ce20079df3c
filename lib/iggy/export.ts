import {
  checkChoice,
  checkInteger,
  drive,
  driveSync,
  type Task,
} from "../base/mod.ts";
import { UnsupportedError } from "../native/mod.ts";
import { pathString } from "../storage/mod.ts";
import {
  checkConsumerIds,
  type CursorNames,
  findCursors,
  planOffsets,
} from "./carried_cursors.ts";
import { refuseUnclosed, withLock } from "./_checks.ts";
import {
  readConsumerOffsets,
  writeConsumerOffset,
} from "./consumer_offsets.ts";
import { copySegment, expandSegment } from "./_convert_batches.ts";
import { listDirectory, segmentsOf } from "./_directory.ts";
import type { IggyFormat } from "./format.ts";
import { placeOf, type TransferOptions } from "./options.ts";
import { findPartition, type PartitionAddress } from "./partition.ts";
import type { TransferReport } from "./report.ts";
import { runTransfer } from "./_transfer.ts";

/** How to export a log. */
export interface ExportOptions extends TransferOptions {
  /** The format of the server. Default: `"0.9"`. */
  format?: IggyFormat;
  /** The partition's number, if the path of its directory does not contain it. Default: `0`. */
  partition?: number;
  /** With the format `"0.8"`: the size of a segment in bytes; at most 1 GiB. Default: 1 GiB. */
  segmentBytes?: number;
  /**
   * The cursors that become consumer offsets, by the ids of the consumers: `{ 1: "billing" }`. For
   * a consumer with a name, the server uses a hash of the name as the id.
   *
   * @default {{}}
   */
  consumers?: CursorNames;
  /** The same for groups of consumers. Default: `{}`. */
  groups?: CursorNames;
}

const ACTION = "export log";
const LEFT_INDEX =
  "a removal of the first segments was interrupted: open the log with 'Log.open', which completes it, and close it";
/** See `docs/format.md#old-segment-size`. */
const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024;

/**
 * Copies a closed log into an empty partition of a stopped Iggy server, which continues it when it
 * starts. The log stays as it is.
 *
 * Every batch is verified while it is copied. A file gets its name in the partition only once it is
 * durable. After a crash the same call completes the copy; after a failure no file is left. The
 * files belong to the user of this program, and the server must be able to write them.
 *
 * With the format `"0.9"` the batches are copied with the partition's number in their headers; with
 * `"0.8"` each message gets a header.
 *
 * Named cursors become consumer offsets, so their consumers continue where the cursors stopped.
 *
 * @param logDir The log's directory.
 * @param target The partition's directory, or its address in the server's data directory.
 * @throws {LockedError} If a writer has the log open, or a server the partition.
 * @throws {Deno.errors.Busy} If the log was not closed.
 * @throws {CorruptSegmentError} If the log is damaged: the error has the file and the position.
 * @throws {UnsupportedError} If the server's data directory has another format, or is encrypted; or
 *   if the kernel does not tell which files are open.
 * @throws {Deno.errors.NotFound} If there is no such log, cursor, stream, topic or partition.
 * @throws {Deno.errors.AlreadyExists} If the partition holds other messages, or another offset of a
 *   consumer.
 *
 * @example Without a log
 * ```ts
 * import { exportToIggy } from "@basalt/io/iggy";
 * import { assertRejects } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * await assertRejects(
 *   () => exportToIggy(`${dir}/log`, `${dir}/streams/0/topics/0/partitions/0`),
 *   Deno.errors.NotFound,
 * );
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function exportToIggy(
  logDir: string | URL,
  target: string | URL | PartitionAddress,
  options: ExportOptions = {},
): Promise<TransferReport> {
  return drive(exporting(logDir, target, options));
}

/** Sync version of {@linkcode exportToIggy}. */
export function exportToIggySync(
  logDir: string | URL,
  target: string | URL | PartitionAddress,
  options: ExportOptions = {},
): TransferReport {
  return driveSync(exporting(logDir, target, options));
}

function* exporting(
  logDir: string | URL,
  target: string | URL | PartitionAddress,
  options: ExportOptions,
): Task<TransferReport> {
  const dir = pathString(ACTION, logDir);
  const {
    format = "0.9",
    segmentBytes = MAX_SEGMENT_BYTES,
    consumers = {},
    groups = {},
    partition: number,
  } = options;
  checkChoice(ACTION, "format", format, ["0.9", "0.8"]);
  checkInteger(ACTION, "segmentBytes", segmentBytes, 1, MAX_SEGMENT_BYTES);
  if (number !== undefined) checkInteger(ACTION, "partition", number);
  checkConsumerIds(ACTION, "consumers", consumers);
  checkConsumerIds(ACTION, "groups", groups);
  const place = placeOf(ACTION, options);
  const partition = yield* findPartition(place, ACTION, target, number);
  if (partition.format !== undefined && partition.format !== format) {
    throw new UnsupportedError(`Cannot export to '${partition.path}'`, {
      found: `the data directory of Iggy ${partition.format}`,
      needed: `one of Iggy ${format}, or 'format: "${partition.format}"'`,
    });
  }
  // No writer can open the log meanwhile.
  return yield* withLock(place, dir, function* () {
    const source = yield* listDirectory(place.storage, dir);
    yield* refuseUnclosed(place, dir, source);
    const segments = segmentsOf(dir, source, LEFT_INDEX);
    const log = { ...place, dir };
    const { wanted, others } = yield* findCursors(log, consumers, groups);
    return yield* runTransfer({
      place,
      subject: {
        from: dir,
        to: partition.path,
        format,
        partition: partition.id,
        firstOffset: segments[0]!.firstOffset,
        leaves: [...source.others, ...others.map((name) => `cursors/${name}`)],
        consumerOffsets: yield* readConsumerOffsets(place, partition.path),
      },
      isExport: true,
      options,
      segments,
      cutsTornTail: false,
      *carry(report) {
        return planOffsets(wanted, report);
      },
      putCursor: (cursor) =>
        writeConsumerOffset(place, partition.path, cursor, format),
      convert: (conversion, source) =>
        format === "0.9"
          ? copySegment(conversion, source, partition.id, false)
          : expandSegment(conversion, source, segmentBytes),
    });
  });
}
