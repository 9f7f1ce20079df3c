/** System calls that old kernels, emulators, sandboxes and filesystems refuse. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { UnsupportedError } from "../../lib/native/mod.ts";
import { DiskStorage } from "../../lib/storage/mod.ts";
import { TemporaryDirectory } from "../engine/_files.ts";
import { PRELUDE, refuse, run, type RunOptions } from "../engine/_program.ts";
import { canMount } from "../machine.ts";
import { ALL, FILES } from "../permissions.ts";

const [EPERM, EINVAL, ENOSYS, EOPNOTSUPP] = [1, 22, 38, 95];

async function outcome(
  source: string,
  options: RunOptions = {},
): Promise<string> {
  using directory = new TemporaryDirectory();
  const { output } = await run(source, directory.path, options);
  return output;
}

/** Writes in each way with each durability. Reports what was counted, and what a log holds. */
const DURABLE_WRITES = `
  const path = Deno.args[0] + "/file";
  const pool = new BufferPool();
  const file = DirectFile.openSync(path, { read: true, write: true, create: true, pool });
  const buffer = pool.acquireSync(4096, { zeroed: true });
  for (const durability of ["data", "full"]) {
    const written = [
      file.writeSync(buffer, 0, { durability }),
      await file.write(buffer, 4096, { durability }),
      file.writeManySync([{ buffer, position: 8192 }], { durability }),
      await file.writeMany([{ buffer, position: 8192 }], { durability }),
    ];
    if (written.some((bytes) => bytes !== 4096)) throw new Error(String(written));
  }
  // A sync call completes the operation in flight, and its sync.
  let isOver = false;
  file.write(buffer, 0, { durability: "data" }).then(() => isOver = true);
  file.settleSync();
  await Promise.resolve();
  const { bytesWritten, writes, inFlight, errors } = file.stats();
  console.log(file.capabilities.durableWrites, isOver, writes, bytesWritten, inFlight, errors);
  file.closeSync();
  const log = await Log.open(Deno.args[0] + "/log");
  for (let i = 0; i < 20; i++) await log.appendDurable("x");
  await log.close();
  console.log(log.durableOffset);
`;

Deno.test({
  name:
    "DirectFile.write() where RWF_DSYNC is refused writes and syncs with every engine, and a log works",
  ignore: !ALL,
  async fn() {
    for (const engine of ["uring", "threads", "plain"]) {
      for (const errno of [EOPNOTSUPP, ENOSYS, EPERM]) {
        const refused = refuse(["preadv2", "pwritev2"], errno);
        const env = { BASALT_ENGINE: engine };
        const output = await outcome(refused + DURABLE_WRITES, { env });
        if (output.includes("io_uring is refused")) continue;
        const expected = "fdatasync true 9 36864 0 0\n20\n";
        assertEquals(output, expected, `${engine} ${errno}`);
      }
    }
    const usual = await outcome(DURABLE_WRITES);
    assertEquals(usual, "RWF_DSYNC true 9 36864 0 0\n20\n");
  },
});

Deno.test({
  name:
    "DirectFile.open() where statx is refused identifies the file by fstat, and a log works",
  ignore: !ALL,
  async fn() {
    for (const errno of [EPERM, ENOSYS]) {
      const program = `${PRELUDE}
        const path = Deno.args[0] + "/file";
        Deno.writeTextFileSync(path, "123");
        const file = DirectFile.openSync(path);
        const { size, links } = file.statSync();
        const { tier } = file.capabilities;
        using bytes = file.readAtSync(1, 2);
        console.log(tier === "direct", size, links, bytes.bytes.join());
        file.closeSync();
        const log = await Log.open(Deno.args[0] + "/log");
        await log.appendDurable("x");
        await log.close();
      `;
      // The runtime uses statx once as well, so its process must not be filtered from the
      // beginning.
      const output = await outcome(`
        ${refuse(["statx"], errno)}
        const inner = Deno.args[0] + "/inner.js";
        Deno.writeTextFileSync(inner, ${JSON.stringify(program)});
        new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-check", inner, Deno.args[0]],
          stdin: "null",
          stdout: "inherit",
          stderr: "inherit",
        }).outputSync();
      `);
      assertEquals(output, "false 3 1 50,51\n");
    }
  },
});

Deno.test({
  name:
    "DirectFile.verifyDirect() where cachestat is refused reports it with class and advice",
  ignore: !ALL,
  async fn() {
    const program = (errno: number) => `
      ${refuse(["cachestat"], errno)}
      const path = Deno.args[0] + "/file";
      Deno.writeTextFileSync(path, "123");
      const file = DirectFile.openSync(path);
      try {
        file.verifyDirectSync();
      } catch (error) {
        console.log(error.name, error.message);
      }
    `;
    for (const errno of [EPERM, ENOSYS]) {
      const output = await outcome(program(errno));
      assert(output.startsWith("UnsupportedError"), output);
      assert(output.includes("sandbox"), output);
    }
  },
});

Deno.test({
  name:
    "DirectFile.write() beyond RLIMIT_FSIZE is an error with EFBIG with every engine, and does not end the process",
  ignore: !ALL,
  async fn() {
    const limit = 64 * 2 ** 20;
    const source = `
      const path = Deno.args[0] + "/file";
      const pool = new BufferPool();
      const file = DirectFile.openSync(path, { read: true, write: true, create: true, pool });
      const buffer = pool.acquireSync(65536, { zeroed: true });
      const beyond = ${2 * limit};
      const ways = {
        write: () => file.write(buffer, beyond),
        across: () => file.write(buffer, ${limit - 4096}),
        writeSync: () => file.writeSync(buffer, beyond),
        durable: () => file.writeSync(buffer, beyond, { durability: "data" }),
        many: () => file.writeManySync([{ buffer, position: beyond }]),
        truncate: () => file.truncate(beyond),
        truncateSync: () => file.truncateSync(beyond),
        preallocate: () => file.preallocate(0, beyond),
        preallocateSync: () => file.preallocateSync(0, beyond),
      };
      for (const [way, call] of Object.entries(ways)) {
        try {
          await call();
          console.log(way, "succeeded");
        } catch (error) {
          if (error.code !== "EFBIG") console.log(way, error);
        }
      }
      console.log(file.sizeSync() <= ${limit});
    `;
    const prefix = ["sh", "-c", `ulimit -f ${limit / 512} && exec "$@"`, "sh"];
    for (const engine of ["uring", "threads", "plain"]) {
      const env = { BASALT_ENGINE: engine };
      const output = await outcome(source, { env, prefix });
      if (output.includes("io_uring is refused")) continue;
      assertEquals(output, "true\n", engine);
    }
  },
});

Deno.test({
  name:
    "DiskStorage.syncDirectory() of a directory without fsync is UnsupportedError",
  ignore: !FILES,
  fn() {
    const storage = new DiskStorage();
    const error = assertThrows(
      () => storage.syncDirectorySync("/proc"),
      UnsupportedError,
      "'/proc'",
    );
    assert(error.needed.includes("ext4"), error.needed);
    assert(error.needed.includes('names: "prefer"'), error.needed);
    new DiskStorage({ names: "prefer" }).syncDirectorySync("/proc");
    assertThrows(
      () => new DiskStorage({ names: "never" as "prefer" }),
      TypeError,
      "'names' must be",
    );
  },
});

Deno.test({
  name:
    "Log.open() where its own directory has no fsync is UnsupportedError, or works and reports that names are unsynced",
  ignore: !ALL,
  async fn() {
    const source = `
      const dir = Deno.args[0];
      await (await Log.open(dir + "/usual")).close();
      const usual = await Log.open(dir + "/usual");
      console.log(usual.capabilities.names);
      await usual.close();
      ${refuse(["fsync"], EINVAL)}
      for (const open of ["open", "openSync"]) {
        try {
          await Log[open](dir + "/" + open);
        } catch (error) {
          console.log(error.name, error.needed.includes('DiskStorage({ names: "prefer" })'));
        }
      }
      const storage = new DiskStorage({ names: "prefer" });
      for (const path of [dir + "/a/b", dir + "/a/c"]) {
        const log = await Log.open(path, { storage });
        await log.appendDurable("x");
        console.log(log.capabilities.names, log.durableOffset);
      }
      // Closing would sync the files, too.
      Deno.exit();
    `;
    const refused = "UnsupportedError true\n";
    const accepted = "unsynced 1\n";
    // A thread that started before the filter is not filtered, so every call is made in place.
    assertEquals(
      await outcome(source, { env: { BASALT_ENGINE: "plain" } }),
      `durable\n${refused.repeat(2)}${accepted.repeat(2)}`,
    );
  },
});

Deno.test({
  name:
    "DiskStorage.makeDirectory() and Log.open() work below a directory without fsync",
  ignore: !canMount("mount -t tmpfs none /proc/fs"),
  async fn() {
    const mount = 'mount -t tmpfs none /proc/fs && exec "$@"';
    const output = await outcome(
      `
      const storage = new DiskStorage();
      console.log(await storage.makeDirectory("/proc/fs/a/b"), storage.makeDirectorySync("/proc/fs/a"));
      const log = await Log.open("/proc/fs/log");
      await log.appendDurable("x");
      await log.close();
      await (await Log.open("/proc/fs")).close();
      `,
      { prefix: ["unshare", "-m", "sh", "-c", mount, "sh"] },
    );
    assertEquals(output, "true false\n");
  },
});
