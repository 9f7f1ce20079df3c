/**
 * Gives each of Deno's functions on paths once, as a task: with promises or blocking.
 *
 * @module
 */
import { step, type Task } from "../base/mod.ts";

/** Calls `Deno.open`. */
export function denoOpen(
  path: string,
  options: Deno.OpenOptions,
): Task<Deno.FsFile> {
  return step(
    () => Deno.open(path, options),
    () => Deno.openSync(path, options),
  );
}

/** Calls `Deno.stat`. */
export function denoStat(path: string): Task<Deno.FileInfo> {
  return step(() => Deno.stat(path), () => Deno.statSync(path));
}

/** Calls `Deno.remove`. */
export function denoRemove(path: string): Task<void> {
  return step(() => Deno.remove(path), () => Deno.removeSync(path));
}

/** Calls `Deno.rename`. */
export function denoRename(from: string, to: string): Task<void> {
  return step(() => Deno.rename(from, to), () => Deno.renameSync(from, to));
}

/** Calls `Deno.mkdir`. */
export function denoMkdir(path: string): Task<void> {
  return step(() => Deno.mkdir(path), () => Deno.mkdirSync(path));
}

/** Calls `Deno.readDir`, for all entries. */
export function denoReadDir(path: string): Task<Deno.DirEntry[]> {
  return step(
    () => Array.fromAsync(Deno.readDir(path)),
    () => Array.from(Deno.readDirSync(path)),
  );
}
