/** What the machine has. Tests that need more are ignored, and listed in `required.txt`. */
import { ALL } from "./permissions.ts";

/** Whether a program is installed. `args` come before `--version`. */
export function hasProgram(
  name: string,
  args: readonly string[] = [],
): boolean {
  return succeeds(name, [...args, "--version"]);
}

/**
 * Whether a shell command that mounts something in the directory `$0` works here. It needs
 * privileges, and programs that may be missing.
 */
export function canMount(mount: string): boolean {
  if (!ALL) return false;
  const dir = Deno.makeTempDirSync({ prefix: "basalt_mount_" });
  try {
    // In a mount namespace, which ends with the command.
    return succeeds("unshare", ["-m", "sh", "-c", mount, dir]);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

function succeeds(command: string, args: string[]): boolean {
  if (!ALL) return false;
  try {
    return new Deno.Command(command, { args, stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch {
    return false;
  }
}
