/** Returns the directory that holds a path's last name. */
export function parentOf(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  const at = trimmed.lastIndexOf("/");
  if (at < 0) return ".";
  return trimmed.slice(0, at).replace(/\/+$/, "") || "/";
}

/**
 * The permissions for everything, by name. The runtime updates the state of a status when a
 * permission is revoked.
 */
const everywhere: { [name: string]: Deno.PermissionStatus } = {};

/**
 * Returns whether a path may be read or written already, without a prompt.
 *
 * The runtime keeps its answer for each path that it is asked about, for ever (600 bytes). So the
 * order is: everything, then the directory, and the path only where these do not decide.
 */
export function isPermitted(name: "read" | "write", path: string): boolean {
  const { permissions } = Deno;
  const all = everywhere[name] ??= permissions.querySync({ name });
  if (all.state === "granted" && !all.partial) return true;
  const directory = permissions.querySync({ name, path: parentOf(path) });
  if (directory.state === "granted" && !directory.partial) return true;
  return permissions.querySync({ name, path }).state === "granted";
}
