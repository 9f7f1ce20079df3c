import { isPermitted, shown } from "../base/mod.ts";
import { cachedCopy, cacheDirectory } from "./_cached_copy.ts";
import { EMBEDDED, type EmbeddedLibrary, unpack } from "./_embedded.ts";
import { environment } from "./environment.ts";
import { isLoaded, isSameLibrary, withMemoryFile } from "./_libc.ts";
import { nodeModule } from "./node_module.ts";
import { type Opened, openLibrary } from "./_open_library.ts";
import type { NativeFunctions } from "./symbols.ts";
import { UnsupportedError } from "./unsupported_error.ts";
import { VERSION } from "./version.ts";

/**
 * Where the library came from.
 *
 * - `"option"`: the path that {@linkcode loadLibrary} was given.
 * - `"environment"`: the path in `BASALT_LIBRARY`.
 * - `"build"`: a local build beside the module.
 * - `"cache"`: the copy inside the package, written to the user's cache.
 * - `"memory"`: that copy in a file of memory, where the cache may not be used.
 * - `"process"`: that copy, loaded earlier in this process, by another worker.
 */
export type LibraryOrigin =
  | "option"
  | "environment"
  | "build"
  | "cache"
  | "memory"
  | "process";

/** The library that was loaded. */
export interface LoadedLibrary {
  /** Where it came from. */
  readonly origin: LibraryOrigin;
  /** The file, or the name by which the loader knows it. */
  readonly file: string;
}

/** Which library to load. */
export interface LoadLibraryOptions {
  /**
   * The only file to try. Without it, the first of: `BASALT_LIBRARY`, a local build, the copy
   * inside the package.
   */
  path?: string | URL;
}

interface Loaded extends LoadedLibrary {
  readonly functions: NativeFunctions;
}

/** The command that builds the library in a checkout. */
const BUILD = "cargo build --release --locked --manifest-path rust/Cargo.toml";
/** The name by which the loader knows the library (`DT_SONAME`, `rust/build.rs`). */
const SONAME = `libbasalt-${VERSION}.so`;

let loaded: Loaded | undefined;

/**
 * Returns the library's functions. The library is loaded at the first call and never closed: a
 * thread may be running in it.
 */
export function native(): NativeFunctions {
  return (loaded ??= load()).functions;
}

/**
 * Loads the native library, and returns where it came from. Otherwise it is loaded at its first
 * use.
 *
 * Needs `--allow-ffi`. It never prompts for a permission, and skips places that are not permitted.
 *
 * @throws {UnsupportedError} If the platform is not supported, no suitable library was found
 *   (`tried` lists the places), or a library other than `path` is loaded already.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {TypeError} If `path` is not a path.
 *
 * @example Loading the library before its first use
 * ```ts
 * import { loadLibrary } from "@basalt/io";
 *
 * const { origin, file } = loadLibrary();
 * console.log(`${file} (${origin})`);
 * ```
 */
export function loadLibrary(options: LoadLibraryOptions = {}): LoadedLibrary {
  const path = options.path === undefined ? undefined : filePath(options.path);
  if (loaded !== undefined && path !== undefined && path !== loaded.file) {
    throw new UnsupportedError(`Cannot load the library '${path}'`, {
      found: `'${loaded.file}', loaded before`,
      needed: "the same one, or this call before the first use",
    });
  }
  loaded ??= load(path);
  return { origin: loaded.origin, file: loaded.file };
}

function load(path?: string): Loaded {
  checkPlatform();
  checkPermission();
  if (path !== undefined) return loadNamed("option", path);
  const variable = environment("BASALT_LIBRARY");
  if (variable !== undefined) {
    return loadNamed("environment", filePath(variable));
  }
  const tried: string[] = [
    "BASALT_LIBRARY: not set, or not permitted to be read",
  ];
  const found = loadBuild(tried) ?? loadEmbedded(tried);
  if (found !== undefined) return found;
  throw new UnsupportedError("Cannot load Basalt's library", {
    found: `none for ${Deno.build.target}`,
    needed:
      `a path in BASALT_LIBRARY, or in a checkout a build beside the module (${BUILD})`,
    tried,
  });
}

/** Loads the file that was asked for by name; nothing else is tried. */
function loadNamed(origin: "option" | "environment", file: string): Loaded {
  const opened = openLibrary(file);
  if ("functions" in opened) return { origin, file, ...opened };
  const source = origin === "option" ? "'path'" : "BASALT_LIBRARY";
  throw new UnsupportedError(`Cannot load the library '${file}' (${source})`, {
    found: opened.reason,
    needed: `a library of Basalt ${VERSION}: ${BUILD}`,
  });
}

/** Loads the build beside the module. A build that does not fit is an error, as it is wanted. */
function loadBuild(tried: string[]): Loaded | undefined {
  const url = new URL(
    "../../rust/target/release/libbasalt.so",
    import.meta.url,
  );
  if (url.protocol !== "file:") {
    tried.push("a build beside the module: the module is not a file");
    return undefined;
  }
  // A module's own URL has no surprises: Deno made it from a path.
  const file = decodeURIComponent(url.pathname);
  const opened = openLibrary(file);
  if ("functions" in opened) return { origin: "build", file, ...opened };
  if (opened.absent) {
    tried.push(`${file}: ${opened.reason}`);
    return undefined;
  }
  throw new UnsupportedError(`Cannot load the library '${file}'`, {
    found: opened.reason,
    needed: `a build of Basalt ${VERSION}: ${BUILD}`,
  });
}

/**
 * Loads the copy inside the package. All isolates of a process use the same library, the first that
 * was loaded, since pools are shared by number.
 */
function loadEmbedded(tried: string[]): Loaded | undefined {
  if (EMBEDDED === undefined) {
    tried.push(`the package: it holds no library for ${Deno.build.target}`);
    return undefined;
  }
  if (isLoaded(SONAME)) {
    const opened = openLibrary(SONAME);
    if ("functions" in opened) {
      return { origin: "process", file: SONAME, ...opened };
    }
    tried.push(`${SONAME} of this process: ${opened.reason}`);
  }
  return loadCached(EMBEDDED, tried) ?? loadInMemory(EMBEDDED, tried);
}

function loadCached(
  library: EmbeddedLibrary,
  tried: string[],
): Loaded | undefined {
  const directory = cacheDirectory();
  if (directory === undefined) {
    tried.push(
      "the cache: neither XDG_CACHE_HOME nor HOME is set, or they are not permitted to be read",
    );
    return undefined;
  }
  if (!isPermitted("read", directory) || !isPermitted("write", directory)) {
    tried.push(`${directory}: not permitted to be read and written`);
    return undefined;
  }
  return attempt("cache", directory, tried, () => {
    const file = cachedCopy(library, directory);
    return [file, openFirst(file)];
  });
}

function loadInMemory(
  library: EmbeddedLibrary,
  tried: string[],
): Loaded | undefined {
  return attempt("memory", "memory", tried, () => {
    const bytes = unpack(library);
    return [SONAME, withMemoryFile(SONAME, bytes, openFirst)];
  });
}

/**
 * Opens a copy, or the one that another isolate loaded first: the loader knows that one by the
 * library's name.
 */
function openFirst(path: string): Opened {
  const opened = openLibrary(path);
  if (!("functions" in opened) || isSameLibrary(path, SONAME)) return opened;
  const first = openLibrary(SONAME);
  return "functions" in first ? first : opened;
}

/** Tries a place, or notes why it has no usable library. */
function attempt(
  origin: LibraryOrigin,
  place: string,
  tried: string[],
  open: () => [file: string, opened: Opened],
): Loaded | undefined {
  try {
    const [file, opened] = open();
    if ("functions" in opened) return { origin, file, ...opened };
    tried.push(`${file}: ${opened.reason}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    tried.push(`${place}: ${(error as Error).message}`);
  }
  return undefined;
}

/**
 * Checks that this is Deno on a platform that the library is built for.
 *
 * @throws {UnsupportedError} If it is not.
 */
export function checkPlatform(): void {
  if (typeof Deno === "undefined") unsupported(runtimeName());
  const { os, arch, env, target } = Deno.build;
  const known = os === "linux" && (env ?? "gnu") === "gnu" &&
    (arch === "x86_64" || arch === "aarch64");
  if (!known) unsupported(target);
}

function unsupported(found: string): never {
  throw new UnsupportedError("Cannot load Basalt's library", {
    found,
    needed: "Deno on Linux with glibc 2.27 or later on x86_64 or aarch64",
  });
}

/** Returns the name and version that runtimes and browsers give, such as "Node.js/24". */
function runtimeName(): string {
  const { navigator, process } = globalThis;
  if (navigator?.userAgent !== undefined) return navigator.userAgent;
  const version = process?.versions?.node;
  return version === undefined ? "another runtime" : `Node.js/${version}`;
}

/**
 * Throws if native code is not permitted.
 *
 * A list of paths is not enough: it does not permit `Deno.UnsafePointerView`, which views memory of
 * the library.
 */
function checkPermission(): void {
  if (Deno.permissions.querySync({ name: "ffi" }).state === "granted") return;
  throw new Deno.errors.NotCapable(
    "Requires ffi access: run again with --allow-ffi, without a list of paths",
  );
}

function filePath(path: string | URL): string {
  const text = path instanceof URL
    ? nodeModule("node:url").fileURLToPath(path)
    : path;
  if (typeof text === "string" && text !== "" && !text.includes("\0")) {
    // A name without a slash would be looked for in the system's directories.
    return text.includes("/") ? text : `./${text}`;
  }
  throw new TypeError(
    `Cannot load the library as 'path' must be a path to a file: received ${
      shown(text)
    }`,
  );
}
