import { DirectFile } from "../../lib/storage/mod.ts";
import { ALL, FILES } from "../permissions.ts";
import { run } from "../engine/_program.ts";
import { assert, assertEquals } from "@std/assert";
import { statfsSync } from "node:fs";
import { TemporaryDirectory } from "./_tiers.ts";

/**
 * Runs the given command with a filesystem of 1 MiB at `$0/mount`, in a mount namespace of its own.
 */
const MOUNT =
  'mkdir $0/mount && mount -t tmpfs -o size=1M basalt $0/mount || exit 99; "$@"';

const prefix = (path: string) => ["unshare", "-m", "sh", "-c", MOUNT, path];

/** Whether a filesystem can be mounted here. */
function possible(): boolean {
  if (!ALL) return false;
  using dir = new TemporaryDirectory();
  const [command, ...args] = [...prefix(dir.path), "true"];
  try {
    return new Deno.Command(command!, { args, stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

Deno.test(
  "DirectFile.freeBytes() is what statfs reports to an unprivileged user",
  { ignore: !FILES },
  () => {
    using dir = new TemporaryDirectory();
    using file = DirectFile.openSync(dir.file("x"), {
      write: true,
      create: true,
    });
    const { bavail, bsize } = statfsSync(dir.path);
    // Others use the filesystem, too.
    assert(Math.abs(file.freeBytes()! - bavail * bsize) < 2 ** 30);
  },
);

Deno.test(
  "DirectFile.freeBytes() follows writes to a small filesystem",
  { ignore: !possible() },
  async () => {
    using dir = new TemporaryDirectory();
    const { output } = await run(
      `
      const path = Deno.args[0] + "/mount/file";
      using file = DirectFile.openSync(path, { write: true, create: true });
      using pool = new BufferPool();
      using block = pool.acquireSync(1 << 18, { zeroed: true });
      const free = [file.freeBytes()];
      for (let i = 0; i < 4; i++) {
        file.writeSync(block, i << 18);
        free.push(file.freeBytes());
      }
      console.log(free.join(" "));
      `,
      dir.path,
      { prefix: prefix(dir.path) },
    );
    const steps = [4, 3, 2, 1, 0].map((each) => each << 18);
    assertEquals(output, `${steps.join(" ")}\n`);
  },
);
