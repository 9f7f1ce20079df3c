/** Logs with their default options on small real filesystems: preparing never fills the disk. */
import { assertEquals } from "@std/assert";
import { ALL } from "../../permissions.ts";

/**
 * Mounts an ext4 of a given size, and runs the given command there. The mount ends with its
 * namespace.
 */
const MOUNT = `
  mkdir "$0/mount" && truncate -s "$1" "$0/image" && mkfs.ext4 -q -m 0 "$0/image" &&
    mount -o loop "$0/image" "$0/mount" || exit 99
  shift
  ulimit -n "$(ulimit -Hn)"
  "$@"; code=$?
  umount "$0/mount"
  exit $code
`;

/** Runs the child on a new ext4, with its directory as the argument before `args`. */
async function onDisk(size: string, ...args: string[]): Promise<string> {
  const dir = Deno.makeTempDirSync({ prefix: "basalt_disk_" });
  try {
    const { code, stdout, stderr } = await new Deno.Command("unshare", {
      args: [
        "-m",
        "sh",
        "-c",
        MOUNT,
        dir,
        size,
        ...args.map((arg) => arg === "MOUNT" ? `${dir}/mount` : arg),
      ],
    }).output();
    const text = new TextDecoder();
    return code === 99 ? "no mount" : text.decode(stdout) + text.decode(stderr);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

async function possible(): Promise<boolean> {
  if (!ALL) return false;
  try {
    return await onDisk("32M", "echo", "mounted") === "mounted\n";
  } catch {
    return false;
  }
}

const MOUNTS = await possible();

for (
  const { what, size, args, messages } of [
    {
      what: "a log on an ext4 of 48 MiB",
      size: "48M",
      args: ["1", "500"],
      messages: 501,
    },
    {
      what: "a log on an ext4 that has a MiB left",
      size: "48M",
      args: ["1", "300", "before-opening"],
      messages: 301,
    },
    {
      what: "ten logs on an ext4 of 400 MiB",
      size: "400M",
      args: ["10", "200"],
      messages: 2010,
    },
    {
      what:
        "ten logs on an ext4 of 400 MiB that is filled before they are closed",
      size: "400M",
      args: ["10", "200", "before-closing"],
      messages: 2010,
    },
    {
      what: "a thousand logs on an ext4 of 4 GiB",
      size: "4G",
      args: ["1000", "3"],
      messages: 4000,
    },
  ]
) {
  Deno.test(
    `Log and another program get all the space that they need, and all logs close: ${what}${
      MOUNTS ? "" : " (skipped: needs root, loop devices and e2fsprogs)"
    }`,
    { ignore: !MOUNTS },
    async () => {
      const said = await onDisk(
        size,
        Deno.execPath(),
        "run",
        "--quiet",
        "--no-check",
        "--allow-all",
        new URL("small_disk_child.ts", import.meta.url).pathname,
        "MOUNT",
        ...args,
      );
      assertEquals(said, `${messages}\n`);
    },
  );
}
