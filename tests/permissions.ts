/**
 * Whether the run has a permission. Tests that need more are ignored, so that `deno test
 * --allow-ffi` alone passes.
 */
function granted(name: "read" | "write" | "run" | "sys" | "env"): boolean {
  return Deno.permissions.querySync({ name }).state === "granted";
}

/** Reading and writing files. */
export const FILES: boolean = granted("read") && granted("write");

/** Files, processes, the environment and facts of the system. */
export const ALL: boolean = FILES && granted("run") && granted("sys") &&
  granted("env");
