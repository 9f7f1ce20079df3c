import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DirectFile, NoSpaceError } from "../../lib/storage/mod.ts";
import { ALL } from "../permissions.ts";
import { TemporaryDirectory, TestPool } from "./_tiers.ts";

const BYTES = 1 << 20;

function run(command: string, ...args: string[]): string | undefined {
  try {
    const { success, stdout } = new Deno.Command(command, {
      args,
      stderr: "null",
    }).outputSync();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined;
  }
}

/** A loop device over a file. It is detached when it is disposed. */
class LoopDevice implements Disposable {
  readonly path: string;
  readonly #dir = new TemporaryDirectory();

  constructor(sectorBytes: number) {
    const backing = this.#dir.file("backing");
    Deno.writeFileSync(backing, new Uint8Array(BYTES));
    const sector = `--sector-size=${sectorBytes}`;
    this.path = run("losetup", "--find", "--show", sector, backing) ?? "";
    if (this.path === "") this.#dir[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (this.path === "") return;
    run("losetup", "--detach", this.path);
    this.#dir[Symbol.dispose]();
  }
}

function hasLoopDevices(): boolean {
  using device = new LoopDevice(512);
  return device.path !== "";
}

for (const sector of [512, 4096]) {
  Deno.test({
    name:
      `DirectFile on a block device with sectors of ${sector} bytes (a loop device; needs root)`,
    ignore: !ALL || !hasLoopDevices(),
    async fn() {
      using device = new LoopDevice(sector);
      using pool = new TestPool({ limitBytes: 4 * BYTES });
      {
        await using file = await DirectFile.open(device.path, {
          read: true,
          write: true,
          direct: "require",
          pool,
        });
        const { capabilities } = file;
        assertEquals({
          tier: capabilities.tier,
          offsetAlignment: capabilities.offsetAlignment,
          logicalBlock: capabilities.logicalBlock,
          physicalBlock: capabilities.physicalBlock,
          filesystem: capabilities.filesystem,
        }, {
          tier: "direct",
          offsetAlignment: sector,
          logicalBlock: sector,
          physicalBlock: Number(
            run("blockdev", "--getpbsz", device.path),
          ),
          filesystem: "none",
        });
        assertEquals([await file.size(), file.sizeSync()], [BYTES, BYTES]);
        using buffer = await pool.acquire(8192);
        buffer.bytes.forEach((_, i, bytes) => bytes[i] = i * 7);
        const last = BYTES - 8192;
        await file.write(buffer, last, { durability: "data" });
        file.syncSync("full");
        assert((await file.verifyDirect()).direct);

        using part = await file.readAt(last + 100, 8192);
        assertEquals(part.bytes, buffer.bytes.subarray(100));
        assertThrows(
          () => file.writeSync(buffer, sector / 2),
          RangeError,
          `multiple of ${sector}`,
        );
        const full = await assertRejects(
          () => file.write(buffer, BYTES - 4096),
          NoSpaceError,
        ) as NoSpaceError;
        assertEquals([full.writtenBytes, full.requestedBytes], [4096, 8192]);
        await assertRejects(() => file.truncate(0), Error, "EINVAL");
        await assertRejects(() => file.preallocate(0, 4096), Error);
      }
      await assertRejects(
        () =>
          DirectFile.open(device.path, { write: true, truncate: true, pool }),
        Error,
        "EINVAL",
      );
      const plain = Deno.readFileSync(device.path);
      assertEquals([plain.length, plain[BYTES - 8192 + 1]], [BYTES, 7]);
    },
  });
}
