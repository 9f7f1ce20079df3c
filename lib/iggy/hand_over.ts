import { drive, driveSync, type Task } from "../base/mod.ts";
import { completeReaderOptions } from "../log/mod.ts";
import { pathString } from "../storage/mod.ts";
import { copyLog, type TransferOptions } from "./copy_log.ts";
import { findPartition } from "./partition.ts";
import type { TransferReport } from "./report.ts";

/**
 * Copies a closed log into an empty partition of a stopped Iggy server (0.7.3 to 0.8), which continues it when it starts. The log itself stays as it is.
 *
 * Everything is checked first: that no writer has the log open and the last one closed it, every message and index, the server's version, that no server has the partition open, and that it holds nothing.
 * Files get their names when all of them are on the disk; after a crash, doing it again completes it. They belong to who runs this: the server must be allowed to write them.
 *
 * @param path The log's directory.
 * @throws {Locked} If a writer has the log open, or a server the partition.
 * @throws {Deno.errors.Busy} If the log was not closed.
 * @throws {CorruptSegment} If the log is damaged.
 * @throws {Unsupported} If the data directory is of another version, encrypted, or none of a server; or if the kernel does not tell who has files open.
 * @throws {Deno.errors.NotFound} If there is no such log, stream, topic or partition.
 * @throws {Deno.errors.AlreadyExists} If the partition holds other messages.
 *
 * @example Without a server's data directory
 * ```ts
 * import { handOver } from "@basalt/io/iggy";
 * import { Log, Unsupported } from "@basalt/io";
 * import { assertRejects } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(`${dir}/log`);
 *   await log.appendDurable("hello");
 * }
 * await assertRejects(
 *   () => handOver(`${dir}/log`, { dataDirectory: `${dir}/local_data`, stream: "orders", topic: "eu" }),
 *   Unsupported,
 *   "found no 'state/info'",
 * );
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function handOver(
  path: string | URL,
  options: TransferOptions,
): Promise<TransferReport> {
  return drive(handingOver(path, options));
}

/** The blocking version of {@linkcode handOver}. */
export function handOverSync(
  path: string | URL,
  options: TransferOptions,
): TransferReport {
  return driveSync(handingOver(path, options));
}

function* handingOver(
  path: string | URL,
  options: TransferOptions,
): Task<TransferReport> {
  const dir = pathString("hand over log", path);
  const place = completeReaderOptions(options);
  const partition = yield* findPartition(place, options);
  const ends = { from: dir, to: partition.path };
  return yield* copyLog(place, partition, ends, options);
}
