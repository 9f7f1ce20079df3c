import { checkChoice, drive, driveSync, type Task } from "../base/mod.ts";
import { makeCursor } from "../log/mod.ts";
import { pathString } from "../storage/mod.ts";
import { planCursors } from "./carried_cursors.ts";
import { refuseServed, refuseUnclosed } from "./_checks.ts";
import { readConsumerOffsets } from "./consumer_offsets.ts";
import { copySegment } from "./_convert_batches.ts";
import { gatherSegment } from "./_convert_messages.ts";
import { listDirectory, segmentsOf } from "./_directory.ts";
import { detectFormat } from "./format.ts";
import { placeOf, type TransferOptions } from "./options.ts";
import { findPartition, type PartitionAddress } from "./partition.ts";
import type { TransferReport } from "./report.ts";
import { runTransfer } from "./_transfer.ts";

/** How to import a partition. */
export interface ImportOptions extends TransferOptions {
  /**
   * What to do with bytes after the last whole message, which a server leaves if it is killed while
   * it writes. A tail is cut only if no valid message follows.
   *
   * @default {"refuse"}
   */
  tornTail?: "refuse" | "cut";
}

const ACTION = "import partition";
const LEFT_INDEX =
  "its server was killed while it deleted the first segments: remove the file";

/**
 * Copies a partition of a stopped Iggy server into another directory, as a closed log, which
 * `Log.open` continues. The partition stays as it is. The format is detected.
 *
 * Every message is verified while it is copied. Consecutive messages of Iggy up to 0.8 with equal
 * append times become a batch. A partition whose first segments were deleted becomes a log whose
 * first offset is not 0. Consumer offsets become cursors: `consumer-7` and `group-2`.
 *
 * @param source The partition's directory, or its address in the server's data directory.
 * @param logDir The directory that becomes a log: empty, or created if it does not exist.
 * @throws {LockedError} If a server has the partition open, or a writer the directory.
 * @throws {CorruptSegmentError} If the partition is damaged, or was not closed well: the error has
 *   the file, the position and what to do.
 * @throws {Deno.errors.InvalidData} If a consumer offset is damaged: the error has the file and
 *   what to do.
 * @throws {UnsupportedError} If the files have neither format, the server is encrypted or of
 *   another version; or if the kernel does not tell which files are open.
 * @throws {Deno.errors.NotFound} If there is no such partition.
 * @throws {Deno.errors.AlreadyExists} If the directory holds other messages or cursors.
 *
 * @example Without a partition
 * ```ts
 * import { importFromIggy } from "@basalt/io/iggy";
 * import { assertRejects } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * await assertRejects(
 *   () => importFromIggy(`${dir}/streams/0/topics/0/partitions/0`, `${dir}/log`),
 *   Deno.errors.NotFound,
 * );
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function importFromIggy(
  source: string | URL | PartitionAddress,
  logDir: string | URL,
  options: ImportOptions = {},
): Promise<TransferReport> {
  return drive(importing(source, logDir, options));
}

/** Sync version of {@linkcode importFromIggy}. */
export function importFromIggySync(
  source: string | URL | PartitionAddress,
  logDir: string | URL,
  options: ImportOptions = {},
): TransferReport {
  return driveSync(importing(source, logDir, options));
}

function* importing(
  source: string | URL | PartitionAddress,
  logDir: string | URL,
  options: ImportOptions,
): Task<TransferReport> {
  const dir = pathString(ACTION, logDir);
  const { tornTail = "refuse" } = options;
  checkChoice(ACTION, "tornTail", tornTail, ["refuse", "cut"]);
  const place = placeOf(ACTION, options);
  const partition = yield* findPartition(place, ACTION, source, undefined);
  const { path, id } = partition;
  const listing = yield* listDirectory(place.storage, path);
  const segments = segmentsOf(path, listing, LEFT_INDEX);
  yield* refuseUnclosed(place, path, listing);
  yield* refuseServed(place, path);
  const format = yield* detectFormat(place, segments);
  return yield* runTransfer({
    place,
    subject: {
      from: path,
      to: dir,
      format,
      partition: id,
      firstOffset: segments[0]!.firstOffset,
      leaves: [...listing.temporary, ...listing.others],
      consumerOffsets: yield* readConsumerOffsets(place, path),
    },
    isExport: false,
    options,
    segments,
    cutsTornTail: tornTail === "cut",
    carry: (report, { hasMeta }) => planCursors(place, hasMeta, report),
    putCursor: ({ cursor, position }) =>
      makeCursor({ ...place, dir }, cursor, position),
    convert: (conversion, source) =>
      format === "0.8"
        ? gatherSegment(conversion, source)
        : copySegment(conversion, source, 0, true),
  });
}
