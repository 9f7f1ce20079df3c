/**
 * Filesystems that the machine has not mounted. Each is mounted in a mount namespace of its own
 * process, and ends with it.
 */
import { assert, assertEquals } from "@std/assert";
import { canMount } from "../machine.ts";
import { runScript } from "./_subprocess.ts";
import { TemporaryDirectory } from "./_tiers.ts";

/** Runs the script on a filesystem mounted by a shell command, which gets the directory as `$0`. */
async function onMount(
  mount: string,
  dir: string,
): Promise<Record<string, unknown>> {
  const shell = `${mount} && exec "$@"`;
  const prefix = ["unshare", "-m", "sh", "-c", shell, dir];
  return await runScript(
    new URL("filesystem_child.ts", import.meta.url),
    ["-A"],
    [dir],
    prefix,
  ) as Record<string, unknown>;
}

const SMALL = "mount -t tmpfs -o size=64k none $0";
const RAMFS = "mount -t ramfs none $0";
/**
 * Where data goes through the journal, ext4 cannot be direct. `cold` was not read since the mount.
 */
const JOURNAL = [
  "mkdir $0/mount $0/content",
  "head -c 65536 /dev/zero | tr '\\0' '\\7' > $0/content/cold",
  "truncate -s 16M $0/image",
  "mkfs.ext4 -q -d $0/content $0/image",
  "mount -o loop,data=journal $0/image $0/mount",
  "mount --bind $0/mount $0",
].join(" && ");

Deno.test(
  "DirectFile gives NoSpaceError with what was written, and continues when there is room",
  { ignore: !canMount(SMALL) },
  async () => {
    using dir = new TemporaryDirectory();
    const { noSpace, allocation, afterwards } = await onMount(
      SMALL,
      dir.path,
    ) as Record<string, Record<string, unknown>>;
    assertEquals(noSpace, {
      async: {
        name: "NoSpaceError",
        code: "ENOSPC",
        syscall: "write",
        path: `${dir.path}/full`,
        requestedBytes: 131072,
        writtenBytes: 65536,
      },
      sync: {
        name: "NoSpaceError",
        code: "ENOSPC",
        syscall: "write",
        path: `${dir.path}/full`,
        requestedBytes: 65536,
        writtenBytes: 0,
      },
      stats: { bytesWritten: 65536, errors: 2 },
    });
    assertEquals(allocation, {
      name: "NoSpaceError",
      code: "ENOSPC",
      syscall: "fallocate",
      path: `${dir.path}/full`,
      requestedBytes: 1048576,
      writtenBytes: 0,
    });
    assertEquals(afterwards, { written: 4096 });
  },
);

Deno.test(
  "DirectFile.open() falls back where the kernel refuses O_DIRECT, and leaves no file if direct is required",
  { ignore: !canMount(RAMFS) },
  async () => {
    using dir = new TemporaryDirectory();
    const { prefer, require } = await onMount(RAMFS, dir.path) as Record<
      string,
      Record<string, unknown>
    >;
    assertEquals(prefer!.tier, "buffered");
    assert(
      /^not direct: (the kernel refuses O_DIRECT|ramfs)/.test(
        prefer!.tierReason as string,
      ),
      prefer!.tierReason as string,
    );
    assertEquals([require!.error, require!.left], ["UnsupportedError", false]);
  },
);

Deno.test(
  "DirectFile.open() is uncached where the filesystem drops pages but cannot be direct",
  { ignore: !canMount(JOURNAL) },
  async () => {
    using dir = new TemporaryDirectory();
    const { prefer, require, uncached } = await onMount(
      JOURNAL,
      dir.path,
    ) as Record<string, Record<string, unknown>>;
    assert(["uncached", "buffered"].includes(prefer!.tier as string));
    assert(
      (prefer!.tierReason as string).includes(
        "ext4 says that this file cannot be read and written directly",
      ),
      prefer!.tierReason as string,
    );
    assertEquals([require!.error, require!.left], ["UnsupportedError", false]);
    if (prefer!.tier === "uncached") {
      assertEquals(uncached, {
        equal: true,
        written: 65536,
        cachedPages: 0,
        direct: false,
      });
    }
  },
);
