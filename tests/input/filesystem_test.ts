/**
 * Logs on filesystems that a new user may have: full, read-only, in memory, with blocks of 4096
 * bytes. Each is in a mount namespace that ends with its process.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { canMount } from "../machine.ts";
import { runScript } from "../storage/_subprocess.ts";
import { TemporaryDirectory } from "../storage/_tiers.ts";

const MOUNT_POINT = "mkdir -p $0/mount && ";

type Result = Record<string, Record<string, unknown>>;

/** Runs the script on what a shell command mounts at `$0/mount`. */
async function onMount(
  mount: string,
  mode: string,
  dir: string,
): Promise<Result> {
  const shell = `${MOUNT_POINT}${mount} && exec "$@"`;
  const prefix = ["unshare", "-m", "sh", "-c", shell, dir];
  return await runScript(new URL("log_child.ts", import.meta.url), ["-A"], [
    mode,
    `${dir}/mount`,
  ], prefix) as Result;
}

/**
 * Returns the command for a loop device that is detached while it is in use, so that it ends with
 * the mount.
 */
function loop(mkfs: string, sizeMiB: number, losetup = ""): string {
  return [
    `truncate -s ${sizeMiB}M $0/image`,
    `device=$(losetup --find --show ${losetup} $0/image)`,
    `{ ${mkfs} $device && mount $device $0/mount; result=$?; losetup -d $device; [ $result = 0 ]; }`,
  ].join(" && ");
}

const EXT4 = loop("mkfs.ext4 -q -m 0", 16);
const SECTORS = loop("mkfs.ext4 -q -b 4096", 64, "--sector-size 4096");
const TMPFS = "mount -t tmpfs -o size=16m none $0/mount";

Deno.test({
  name:
    "Log on a disk that fills up is NoSpaceError with the durable offset, loses nothing acknowledged, and continues when there is room",
  ignore: !canMount(MOUNT_POINT + EXT4),
  fn: async () => {
    using dir = new TemporaryDirectory();
    const { failure, durable, twice, closing, reader, afterwards } =
      await onMount(EXT4, "full", dir.path) as Result & {
        durable: unknown;
        reader: unknown;
      };
    for (const error of [failure, twice, closing]) {
      assertEquals([error!.name, error!.code], ["NoSpaceError", "ENOSPC"]);
      assertStringIncludes(error!.path as string, `${dir.path}/mount/log`);
      assertStringIncludes(error!.message as string, error!.path as string);
    }
    assertEquals([failure!.durableOffset, twice!.durableOffset], [
      durable,
      durable,
    ]);
    assert((durable as unknown as number) > 50);
    // A failed flush may have written a part. The messages that can be read are a prefix, and
    // include all durable ones.
    assert((reader as unknown as number) >= (durable as unknown as number));
    const { appended, durableOffset, nextOffset, own, reopened } =
      afterwards as Record<string, number>;
    assertEquals(nextOffset, appended! + 1);
    assertEquals([durableOffset, own], [nextOffset, nextOffset]);
    // Closing on the full disk ended the log, and everything durable is there again.
    assert(reopened! >= (closing!.durableOffset as number));
  },
});

Deno.test({
  name:
    "Log on a read-only filesystem can be read; Log.open() says why it cannot be opened, and changes nothing",
  ignore: !canMount(MOUNT_POINT + EXT4),
  fn: async () => {
    using dir = new TemporaryDirectory();
    await onMount(EXT4, "prepare", dir.path);
    const again = "mount -o loop,ro $0/image $0/mount";
    const { open, openSync, make, file, existing, reader, names } =
      await onMount(again, "readOnly", dir.path);
    for (const error of [open, openSync, make, file, existing]) {
      assertEquals(error!.code, "EROFS");
      assertStringIncludes(error!.message as string, `'${dir.path}/mount/`);
      assertStringIncludes(
        error!.message as string,
        "the filesystem is mounted read-only",
      );
    }
    assertEquals([reader, names], [10, [
      "00000000000000000000.index",
      "00000000000000000000.log",
      "meta",
    ]] as unknown[]);
  },
});

Deno.test({
  name:
    "DirectFile on blocks of 4096 bytes refuses misaligned operands and names valid ones, and a log works",
  ignore: !canMount(MOUNT_POINT + SECTORS),
  fn: async () => {
    using dir = new TemporaryDirectory();
    const { capabilities, misaligned, read } = await onMount(
      SECTORS,
      "use",
      dir.path,
    );
    const { tier, offsetAlignment, logicalBlock, physicalBlock } =
      capabilities!;
    assertEquals(
      [tier, offsetAlignment, logicalBlock, physicalBlock],
      ["direct", 4096, 4096, 4096],
    );
    assertEquals(misaligned!.name, "RangeError");
    assertStringIncludes(
      misaligned!.message as string,
      "must be a multiple of 4096: received 512, nearest are 0 and 4096",
    );
    assertEquals(read, 710 as unknown);
  },
});

Deno.test({
  name: "Log in memory (tmpfs) works, and reports that it is buffered and why",
  ignore: !canMount(MOUNT_POINT + TMPFS),
  fn: async () => {
    using dir = new TemporaryDirectory();
    const { capabilities, read } = await onMount(TMPFS, "use", dir.path);
    assert(capabilities!.tier !== "direct");
    assertStringIncludes(capabilities!.tierReason as string, "tmpfs");
    assertEquals(read, 710 as unknown);
  },
});
