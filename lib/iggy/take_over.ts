import { drive, driveSync, type Task } from "../base/mod.ts";
import { completeReaderOptions } from "../log/mod.ts";
import { pathString } from "../storage/mod.ts";
import { copyLog, type TransferOptions } from "./copy_log.ts";
import { findPartition } from "./partition.ts";
import type { TransferReport } from "./report.ts";

/**
 * Copies a partition of a stopped Iggy server (0.7.3 to 0.8) into a directory of its own, which `Log.open` continues. The partition itself stays as it is.
 *
 * What consumers stored does not go along: the report has it. The checks are those of {@linkcode handOver}.
 *
 * @param path The directory that becomes a log; made if there is none, empty otherwise.
 * @throws {Locked} If a server has the partition open, or a writer the directory.
 * @throws {CorruptSegment} If the partition is damaged, as after a kill of its server: copy the files yourself then, and let `Log.open` recover them.
 * @throws {Unsupported} If the data directory is of another version, encrypted, or none of a server; or if the kernel does not tell who has files open.
 * @throws {Deno.errors.NotFound} If there is no such stream, topic or partition.
 * @throws {Deno.errors.AlreadyExists} If the directory holds other messages.
 *
 * @example Without a server's data directory
 * ```ts
 * import { takeOver } from "@basalt/io/iggy";
 * import { Unsupported } from "@basalt/io";
 * import { assertRejects } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * await assertRejects(
 *   () => takeOver(`${dir}/log`, { dataDirectory: `${dir}/local_data`, stream: "orders", topic: "eu" }),
 *   Unsupported,
 * );
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function takeOver(
  path: string | URL,
  options: TransferOptions,
): Promise<TransferReport> {
  return drive(takingOver(path, options));
}

/** The blocking version of {@linkcode takeOver}. */
export function takeOverSync(
  path: string | URL,
  options: TransferOptions,
): TransferReport {
  return driveSync(takingOver(path, options));
}

function* takingOver(
  path: string | URL,
  options: TransferOptions,
): Task<TransferReport> {
  const dir = pathString("take over log", path);
  const place = completeReaderOptions(options);
  const partition = yield* findPartition(place, options);
  const ends = { from: partition.path, to: dir };
  return yield* copyLog(place, partition, ends, options);
}
