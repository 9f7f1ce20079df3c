import { driveSync, type Task } from "../base/mod.ts";
import { OPERATION } from "../engine/mod.ts";
import { UnsupportedError } from "../native/mod.ts";
import type { NameDurability } from "./capabilities.ts";
import type { Descriptor } from "./_descriptor.ts";
import { codeOf } from "./errors.ts";
import { runOn } from "./_file_operation.ts";
import { openDirectory } from "./_open_descriptor.ts";
import { pathString } from "./paths.ts";
import type { FileProbe } from "./probe.ts";

/**
 * Whether the names in a directory must survive a power cut.
 *
 * - `"require"`: where a directory has no `fsync(2)`, syncing it fails with `UnsupportedError`.
 * - `"prefer"`: there, syncing a directory does nothing.
 */
export type NamesMode = "require" | "prefer";

/** The result of the last sync of a directory, by device. */
const namesByDevice = new Map<string, NameDurability>();

/** Returns whether syncing a directory on the device of a file makes names durable. */
export function namesBeside({ device }: FileProbe): NameDurability {
  return namesByDevice.get(device) ?? "unknown";
}

/**
 * Makes the names in a directory durable.
 *
 * @param isInPlace Whether to open it in place, so that a caller that blocks can finish the task at
 *   any moment.
 */
export function* syncingDirectory(
  where: string,
  mode: NamesMode,
  isInPlace = false,
): Task<void> {
  const path = pathString("sync directory", where);
  const opening = openDirectory(path);
  using directory = isInPlace ? driveSync(opening) : yield* opening;
  yield* syncEntries(directory, mode);
}

/**
 * Syncs an open directory.
 *
 * @throws {UnsupportedError} If its filesystem has no sync of directories, and names must be
 *   durable.
 */
export function* syncEntries(
  directory: Descriptor,
  mode: NamesMode,
): Task<void> {
  const { device } = directory.probe();
  try {
    yield* runOn(directory, OPERATION.SYNC_FULL);
    namesByDevice.set(device, "durable");
  } catch (error) {
    if (codeOf(error) !== "EINVAL") throw error;
    namesByDevice.set(device, "unsynced");
    if (mode === "prefer") return;
    throw new UnsupportedError(`Cannot sync directory '${directory.path}'`, {
      found: "a filesystem whose directories have no fsync(2)",
      needed: "one that makes names durable, such as ext4, xfs or btrfs; " +
        'or, if a power cut may lose new files, new DiskStorage({ names: "prefer" })',
    });
  }
}
