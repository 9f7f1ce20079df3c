/** One directory through two mounts: docs/format.md#open-two-mounts. */
import { assertEquals } from "@std/assert";
import { canMount } from "../../machine.ts";
import { runScript } from "../../storage/_subprocess.ts";
import { TemporaryDirectory } from "../../storage/_tiers.ts";

const BIND = `
  cd "$0" && mkdir log other && mount --bind log other
`;
/** On a tmpfs, since not every filesystem can be the upper layer. */
const OVERLAY = `
  cd "$0" && mkdir log other layers && mount -t tmpfs none layers &&
    mkdir layers/upper layers/work &&
    mount -t overlay -o lowerdir=log,upperdir=layers/upper,workdir=layers/work none other
`;

/** Runs the child after `mount`, in a mount namespace that ends with it. */
async function through(kind: string, mount: string): Promise<unknown> {
  using directory = new TemporaryDirectory();
  const { path } = directory;
  const script = `(${mount.trim().replaceAll("$0", path)}) && exec "$@"`;
  const prefix = ["unshare", "-m", "sh", "-c", script, "sh"];
  const args = [kind, path];
  return await runScript(
    new URL("two_mounts_child.ts", import.meta.url),
    ["-A"],
    args,
    prefix,
  );
}

Deno.test({
  name:
    "Log.open() refuses a log that is written through another path (bind mount), and readers see its writer",
  ignore: !canMount(BIND),
  fn: async () => {
    assertEquals(await through("bind", BIND), {
      second: "LockedError",
      isLocked: true,
      faults: 0,
      read: 3,
      followed: "message 3",
      left: 0,
      count: 4,
    });
  },
});

Deno.test({
  name:
    "Log is not harmed by a writer in the layer above (overlay), which does not see its lock",
  ignore: !canMount(OVERLAY),
  fn: async () => {
    assertEquals(await through("overlay", OVERLAY), {
      second: 3,
      above: 8,
      left: 0,
      count: 4,
    });
  },
});
