/** Locks of files, and whether a file still has a name, on a real and a simulated disk. */
import { assertEquals, assertThrows } from "@std/assert";
import { DiskStorage, type Storage } from "../../lib/storage/mod.ts";
import { SimulatedDisk } from "@basalt/io/testing";
import { FILES } from "../permissions.ts";

/** Runs a test on both, in a directory of its own. */
function onBoth(name: string, test: (storage: Storage, dir: string) => void) {
  Deno.test(`${name} (simulated)`, () => {
    const disk = new SimulatedDisk();
    disk.makeDirectorySync("/dir");
    test(disk, "/dir");
  });
  Deno.test(`${name} (disk)`, { ignore: !FILES }, () => {
    const dir = Deno.makeTempDirSync({ prefix: "basalt_lock_" });
    try {
      test(new DiskStorage(), dir);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  });
}

onBoth(
  "StorageFile.lock() is held by one open file until that is closed",
  (storage, dir) => {
    const path = `${dir}/file`;
    const first = storage.openSync(path, { write: true, create: true });
    const second = storage.openSync(path);
    assertEquals([first.lock!(), first.lock!()], [true, true]);
    assertEquals(second.lock!(), false);
    first.closeSync();
    assertEquals(second.lock!(), true);
    assertThrows(() => first.lock!(), Deno.errors.BadResource);
    second.closeSync();
  },
);

onBoth(
  "StorageFile.lock() stays with a file that was removed",
  (storage, dir) => {
    const path = `${dir}/file`;
    const old = storage.openSync(path, { write: true, create: true });
    assertEquals(old.lock!(), true);
    storage.removeSync(path);
    const next = storage.openSync(path, { write: true, create: true });
    assertEquals(next.lock!(), true);
    old.closeSync();
    next.closeSync();
  },
);

onBoth(
  "StorageFile.isNamed() notices removal and replacement, but not renaming",
  (storage, dir) => {
    const make = (name: string) =>
      storage.openSync(`${dir}/${name}`, { write: true, create: true });
    const [a, b, c] = ["a", "b", "c"].map(make);
    assertEquals([a, b, c].map((file) => file!.isNamed!()), [true, true, true]);
    storage.renameSync(`${dir}/b`, `${dir}/a`);
    storage.removeSync(`${dir}/c`);
    assertEquals([a, b, c].map((file) => file!.isNamed!()), [
      false,
      true,
      false,
    ]);
    for (const file of [a, b, c]) file!.closeSync();
    assertThrows(() => a!.isNamed!(), Deno.errors.BadResource);
  },
);
