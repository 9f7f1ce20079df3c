/** Shared by the tests of the published package. */
import { assert } from "@std/assert";
import { copy, publishedNames } from "../../tools/release.ts";

export const ROOT: string = new URL("../../", import.meta.url).pathname;

/** Runs a command, and returns the output of both streams. */
export async function run(
  command: string,
  args: string[],
  options: Deno.CommandOptions = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd: ROOT,
    stdin: "null",
    ...options,
    env: { NO_COLOR: "1", ...options.env },
  }).output();
  const output = new TextDecoder().decode(stdout) +
    new TextDecoder().decode(stderr);
  assert(success, `${command} ${args.join(" ")}: ${output}`);
  return output;
}

/**
 * Copies the files that `deno publish` would publish, with the library for this platform. Returns
 * their names.
 */
export async function publish(to: string): Promise<string[]> {
  await run(Deno.execPath(), ["task", "embed", Deno.build.target]);
  const names = await publishedNames();
  for (const name of names) copy(name, to);
  return names;
}

/**
 * Returns the beginning of a command that hides the checkout under an empty filesystem and, if
 * asked to, the network. It is empty where this machine does not permit that.
 */
export async function withoutCheckout(
  { network = true } = {},
): Promise<string[]> {
  const hide = [
    "unshare",
    "--mount",
    ...(network ? [] : ["--net"]),
    "sh",
    "-c",
    'mount -t tmpfs none "$0" && exec "$@"',
    ROOT,
  ];
  try {
    const [command, ...args] = [...hide, "true"];
    const { success } = await new Deno.Command(command!, {
      args,
      stderr: "null",
    }).output();
    return success ? hide : [];
  } catch {
    return [];
  }
}
