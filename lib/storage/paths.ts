import { nodeModule } from "../native/mod.ts";

/**
 * A path as a string, from what Deno's own functions take.
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
 * Returns a path as a string that leads to the same place whatever the working directory becomes.
 *
 * Where the working directory cannot be told, a relative path stays as it is.
 *
 * @param action What it is for, such as `"open log"`.
 * @throws {TypeError} As {@linkcode pathString} does.
 */
export function absolutePath(action: string, path: string | URL): string {
  const text = pathString(action, path);
  // An empty path leads nowhere: the call that gets it says so.
  if (text === "" || text.startsWith("/")) return text;
  try {
    const base = Deno.cwd().replace(/\/+$/, "");
    const rest = text.replace(/^(?:\.\/+)*/, "").replace(/^\.$/, "");
    return rest === "" ? base || "/" : `${base}/${rest}`;
  } catch {
    return text;
  }
}
