/**
 * Logs on real disks: filesystems that are full or mounted read-only, large sectors, and a file
 * that is truncated while it is read.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { CorruptSegmentError, Log } from "@basalt/io";
import { canMount } from "../machine.ts";
import { FILES } from "../permissions.ts";
import { at, DiskPlace, HEADER, payload, segment } from "../log/_support.ts";
import { runScript } from "../storage/_subprocess.ts";
import { TemporaryDirectory } from "../storage/_tiers.ts";

interface Disk {
  readonly name: string;
  readonly logicalBlock: number;
  /**
   * Mounts it at `$0/mount`. The mount ends with its namespace, and the loop device with the mount.
   */
  readonly shell: string;
}

const LOOP = "mkdir $0/mount && mount -o loop $0/image $0/mount";

const DISKS: readonly Disk[] = [
  {
    name: "ext4",
    logicalBlock: 512,
    shell: `truncate -s 64M $0/image && mkfs.ext4 -q $0/image && ${LOOP}`,
  },
  {
    name: "XFS",
    logicalBlock: 512,
    shell: `truncate -s 320M $0/image && mkfs.xfs -q $0/image && ${LOOP}`,
  },
  {
    name: "btrfs",
    logicalBlock: 4096,
    shell:
      `truncate -s 128M $0/image && mkfs.btrfs -q --mixed $0/image > $0/notes && ${LOOP}`,
  },
  {
    name: "ext4 on sectors of 4096 bytes",
    logicalBlock: 4096,
    shell: [
      "truncate -s 64M $0/image",
      "d=$(losetup --find --show --sector-size 4096 $0/image)",
      "mkdir $0/mount",
      "{ mkfs.ext4 -q $d && mount $d $0/mount; s=$?; losetup -d $d; [ $s = 0 ]; }",
    ].join(" && "),
  },
];

for (const { name, logicalBlock, shell } of DISKS) {
  Deno.test({
    name:
      `Log on ${name}, filled completely, loses nothing, continues when there is room, and can be read when it cannot be written`,
    ignore: !canMount(shell),
    async fn() {
      using dir = new TemporaryDirectory();
      const prefix = ["unshare", "-m", "sh", "-c", `${shell} && exec "$@"`];
      const found = await runScript(
        new URL("real_disk_child.ts", import.meta.url),
        ["-A"],
        [`${dir.path}/mount`],
        [...prefix, dir.path],
      ) as Record<string, unknown>;
      const { noSpace, again, pending, total, read, faults } = found;
      assertEquals(noSpace, { code: "ENOSPC", exact: true });
      assertEquals([again, read, faults], ["NoSpaceError", total, 0]);
      assertEquals(found["logicalBlock"], logicalBlock);
      assertEquals(found["readOnly"], {
        success: true,
        code: "EROFS",
        read: total,
      });
      assertEquals(found["inUseBytes"], 0);
      assert((pending as number) > 0 && (total as number) > 50, `${total}`);
      console.log(`${total} messages, ${found["tier"]}`);
    },
  });
}

Deno.test({
  name:
    "Log.read() of a file that is truncated meanwhile gives no wrong message",
  ignore: !FILES,
  async fn() {
    for (const direct of ["prefer", "never"] as const) {
      await at(new DiskPlace(direct), async (place) => {
        const { storage, pool, dir } = place;
        const log = await Log.open(dir, { storage, pool, prepareBytes: 0 });
        // Each message is a batch.
        for (let i = 0; i < 100; i++) log.appendBatch([payload(i, 1000)]);
        await log.flush();
        Deno.truncateSync(
          `${dir}/${segment(0)}.log`,
          50 * (HEADER + 1000) + 500,
        );
        let offset = 0;
        await assertRejects(async () => {
          for await (using batch of log.read()) {
            for (let i = 0; i < batch.count; i++, offset++) {
              assertEquals(batch.payload(i), payload(offset, 1000));
            }
          }
        }, CorruptSegmentError);
        assertEquals(offset, 50);
        await log.close();
      });
    }
  },
});
