import type { Task } from "../base/mod.ts";
import { listDirectory, type VerifyOptions } from "../log/mod.ts";
import {
  proveSound,
  refuseServed,
  refuseUnclosed,
  withLock,
} from "./checks.ts";
import type { Place } from "./files.ts";
import type { Partition, PartitionAddress } from "./partition.ts";
import { reportOf, type TransferReport } from "./report.ts";
import {
  listIfMade,
  planTransfer,
  runTransfer,
  type Transfer,
} from "./transfer.ts";

/** Which partition, and how. */
export interface TransferOptions extends PartitionAddress, VerifyOptions {
  /** Check everything and say what would be done, but change nothing. @default {false} */
  dryRun?: boolean;
}

/** Copies a closed log from one directory to another, of which one is a server's partition, after all that could be wrong was ruled out. */
export function* copyLog(
  place: Place,
  partition: Partition,
  ends: { from: string; to: string },
  options: TransferOptions,
): Task<TransferReport> {
  const { storage } = place;
  const { from, to } = ends;

  function* prepare(): Task<Transfer> {
    const source = yield* listDirectory(storage, from);
    yield* refuseUnclosed(place, from, source);
    const target = yield* listIfMade(storage, to);
    yield* refuseUnclosed(place, to, target);
    const served = partition.path === from ? source : target;
    yield* refuseServed(place, partition.path, served);
    return yield* planTransfer(place, ends, source, target);
  }

  // What takes no time first, and again when the reading is over: nothing is locked meanwhile.
  const plan = yield* withLock(place, from, prepare);
  const nextOffset = yield* proveSound(place, from, options.onProgress);
  const report = reportOf(partition, plan, nextOffset);
  if (options.dryRun === true) return report;
  yield* storage.makeDirectory(to);
  yield* withLock(
    place,
    from,
    () =>
      withLock(place, to, function* (): Task<void> {
        yield* runTransfer(place, yield* prepare());
      }),
  );
  return { ...report, done: true };
}
