import { type EmbeddedLibrary, isThis, unpack } from "./_embedded.ts";
import { environment } from "./environment.ts";
import { effectiveUser } from "./_libc.ts";

/** Permission bits that let others change what is in a directory or file. */
const WRITABLE_BY_OTHERS = 0o022;
/** Permission bits that a private directory does not have. */
const OPEN_TO_OTHERS = 0o077;

/**
 * Returns the user's directory for cached libraries: `$XDG_CACHE_HOME/basalt`, else
 * `$HOME/.cache/basalt`.
 *
 * @returns `undefined` where neither is set, absolute and permitted to be read.
 */
export function cacheDirectory(): string | undefined {
  const home = environment("HOME");
  const base = environment("XDG_CACHE_HOME") ?? (home && `${home}/.cache`);
  return base?.startsWith("/") ? `${base}/basalt` : undefined;
}

/**
 * Returns the path of a copy of the library in a private directory. The copy is written if it does
 * not exist, and verified if it does.
 *
 * @throws {Error} If the directory is not private, or cannot be written.
 */
export function cachedCopy(
  library: EmbeddedLibrary,
  directory: string,
): string {
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const user = effectiveUser();
  checkPrivate(directory, user);
  const path = `${directory}/libbasalt-${library.sha256}.so`;
  if (!isThere(library, path, user)) write(path, unpack(library));
  return path;
}

function checkPrivate(directory: string, user: number): void {
  const { isDirectory, uid, mode } = Deno.lstatSync(directory);
  if (!isDirectory) throw new Error("it is no directory");
  if (uid !== user) {
    throw new Error(`it belongs to user ${uid}, and this is user ${user}`);
  }
  if ((mode! & OPEN_TO_OTHERS) !== 0) {
    const bits = (mode! & 0o7777).toString(8).padStart(4, "0");
    throw new Error(`it is open to others: its mode is ${bits}, not 0700`);
  }
}

function isThere(
  library: EmbeddedLibrary,
  path: string,
  user: number,
): boolean {
  try {
    const { isFile, uid, mode } = Deno.lstatSync(path);
    return isFile && uid === user &&
      (mode! & WRITABLE_BY_OTHERS) === 0 &&
      isThis(library, Deno.readFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Writes the file under another name and renames it. No process sees a part of it, and a process
 * that runs the old file keeps it.
 */
function write(path: string, bytes: Uint8Array): void {
  const temporary = `${path}.${crypto.randomUUID()}`;
  try {
    Deno.writeFileSync(temporary, bytes, { createNew: true, mode: 0o700 });
    Deno.renameSync(temporary, path);
  } catch (error) {
    try {
      Deno.removeSync(temporary);
    } catch {
      // It was not made, or renamed.
    }
    throw error;
  }
}
