import { nodeModule } from "../native/mod.ts";

/**
 * Returns a path as a string. Like Deno's own functions, it takes a string or a URL.
 *
 * @param action What it is for, such as `"open file"`.
 * @throws {TypeError} If it is neither, holds a NUL byte, or is no `file:` URL.
 */
export function pathString(action: string, path: string | URL): string {
  if (path instanceof URL) {
    return pathString(action, nodeModule("node:url").fileURLToPath(path));
  }
  if (typeof path !== "string") {
    throw new TypeError(
      `Cannot ${action} as 'path' must be a string or a URL: received ${typeof path}`,
    );
  }
  if (path.includes("\0")) {
    throw new TypeError(
      `Cannot ${action} as 'path' contains a NUL byte: received ${
        JSON.stringify(path)
      }`,
    );
  }
  return path;
}

/**
 * Returns a path as a string that does not depend on the working directory.
 *
 * Where the working directory is not known, a relative path stays as it is.
 *
 * @param action What it is for, such as `"open log"`.
 * @throws {TypeError} As {@linkcode pathString} does.
 */
export function absolutePath(action: string, path: string | URL): string {
  const text = pathString(action, path);
  // An empty path is an error of the call that gets it.
  if (text === "" || text.startsWith("/")) return text;
  try {
    const base = Deno.cwd().replace(/\/+$/, "");
    const rest = text.replace(/^(?:\.\/+)*/, "").replace(/^\.$/, "");
    return rest === "" ? base || "/" : `${base}/${rest}`;
  } catch {
    return text;
  }
}
