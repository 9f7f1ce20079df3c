/**
 * Opens what a program usually opens and a few other things, where Node's modules are missing.
 * Prints the result of each.
 */
import { driveSync } from "../../lib/base/mod.ts";
import { DirectFile, DiskStorage } from "../../lib/storage/mod.ts";
import { isOpenElsewhere } from "../../lib/storage/open_elsewhere.ts";

const dir = Deno.args[0]!;
Object.defineProperty(globalThis, "process", {
  get() {
    throw new Error("needs Node");
  },
});

async function outcome(call: () => unknown): Promise<string> {
  try {
    await call();
    return "done";
  } catch (error) {
    const { constructor, message } = error as Error;
    return message === "needs Node" ? message : constructor.name;
  }
}

const storage = new DiskStorage();
const usual: Record<string, () => unknown> = {
  create: () => DirectFile.open(`${dir}/a`, { write: true, createNew: true }),
  createSync: () =>
    DirectFile.openSync(`${dir}/b`, { read: true, write: true, create: true }),
  read: () => DirectFile.open(`${dir}/link`),
  readSync: () => DirectFile.openSync(`${dir}/a`, { direct: "never" }),
  write: () => DirectFile.open(`${dir}/a`, { write: true }),
  missing: () => DirectFile.open(`${dir}/missing`),
  missingSync: () => DirectFile.openSync(`${dir}/missing/x`),
  exists: () => DirectFile.open(`${dir}/a`, { write: true, createNew: true }),
  lock: () => storage.lock(dir)!.release(),
  syncDirectory: () => storage.syncDirectory(dir),
  makeDirectory: () => storage.makeDirectorySync(`${dir}/c/d`),
  isOpenElsewhere: () => driveSync(isOpenElsewhere(`${dir}/a`)),
};
const unusual: Record<string, () => unknown> = {
  fifo: () => DirectFile.open(`${dir}/fifo`),
  fifoSync: () => DirectFile.openSync(`${dir}/fifo`, { write: true }),
  linkToFifo: () => DirectFile.openSync(`${dir}/fifo link`),
  device: () => DirectFile.openSync("/dev/null"),
  directory: () => DirectFile.openSync(dir),
  noDirectory: () => storage.syncDirectorySync(`${dir}/a`),
  dangling: () =>
    DirectFile.open(`${dir}/dangling`, { write: true, create: true }),
};

Deno.symlinkSync("a", `${dir}/link`);
Deno.symlinkSync("nowhere", `${dir}/dangling`);
const results = { usual: {}, unusual: {} } as Record<
  string,
  Record<string, string>
>;
for (const [group, calls] of Object.entries({ usual, unusual })) {
  for (const [name, call] of Object.entries(calls)) {
    results[group]![name] = await outcome(call);
  }
}
console.log(JSON.stringify(results));
Deno.exit();
