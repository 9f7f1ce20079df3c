import { checkPlatform } from "../native/mod.ts";
import {
  drive,
  driveSync,
  isPermitted,
  pair,
  perform,
  type Task,
} from "../base/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import { DirectFile } from "./direct_file.ts";
import { adapting, unless } from "./errors.ts";
import { pathString } from "./paths.ts";
import { syncingDirectory } from "./sync_directory.ts";

/**
 * Returns what a file can do, and why. For a directory it makes a file there, and removes it.
 *
 * A file is opened for reading; a directory must be writable, and is synced if reading it is
 * permitted.
 *
 * @throws {Deno.errors.NotFound} If nothing exists at the path; other errors are those of
 *   {@linkcode DirectFile.open}.
 *
 * @example Whether a disk supports direct I/O
 * ```ts
 * import { probePath } from "@basalt/io";
 * import { assert } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * const { tier, tierReason } = await probePath(dir);
 * assert(["direct", "uncached", "buffered"].includes(tier), tierReason);
 * Deno.removeSync(dir);
 * ```
 */
export function probePath(path: string | URL): Promise<Capabilities> {
  return drive(probing(path));
}

/** Sync version of {@linkcode probePath}. */
export function probePathSync(path: string | URL): Capabilities {
  return driveSync(probing(path));
}

function* probing(where: string | URL): Task<Capabilities> {
  checkPlatform();
  const path = pathString("probe", where);
  const stat = yield* adapting("stat", path, pair(Deno, "stat", path));
  if (!stat.isDirectory) return yield* probingFile(path, {});
  const name = `${path}/.basalt-probe-${crypto.randomUUID()}`;
  try {
    const found = yield* probingFile(name, { write: true, createNew: true });
    if (isPermitted("read", path)) yield* syncingDirectory(path, "prefer");
    return found;
  } finally {
    // Where making the file failed, there is none.
    yield* unless(
      "ENOENT",
      adapting("unlink", name, pair(Deno, "remove", name)),
    );
  }
}

function* probingFile(
  path: string,
  options: { write?: boolean; createNew?: boolean },
): Task<Capabilities> {
  const all = { read: true, ...options };
  const file = yield* perform(pair(DirectFile, "open", path, all));
  yield* perform(pair(file, "close"));
  return file.capabilities;
}
