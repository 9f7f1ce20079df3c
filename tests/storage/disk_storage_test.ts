import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Log } from "../../mod.ts";
import { DiskStorage } from "../../lib/storage/mod.ts";
import { hasProgram } from "../machine.ts";
import { ALL, FILES } from "../permissions.ts";
import { runScript } from "./_subprocess.ts";
import { TemporaryDirectory, TestPool } from "./_tiers.ts";

const storage = new DiskStorage();

Deno.test(
  "DiskStorage.open() reads by default, and passes mode, tier and pool to its files",
  { ignore: !FILES },
  async () => {
    using dir = new TemporaryDirectory();
    using pool = new TestPool();
    const buffered = new DiskStorage({ direct: "never", pool });
    {
      await using file = await buffered.open(dir.file("x"), {
        write: true,
        create: true,
      });
      assertEquals(file.capabilities.tier, "buffered");
      using block = pool.acquireSync(4096);
      block.bytes.fill(1);
      await file.write(block, 0);
      using read = await file.readAt(5, 1);
      assertEquals([read.pool, read.bytes[0]], [pool, 1]);
    }
    assertEquals(
      Deno.statSync(dir.file("x")).mode! & 0o777,
      0o640 & ~Deno.umask(),
    );
    using file = buffered.openSync(dir.file("x"));
    assertEquals(file.sizeSync(), 4096);
  },
);

Deno.test(
  "DiskStorage lets a subclass override how names are made durable",
  { ignore: !ALL },
  async () => {
    class CountingStorage extends DiskStorage {
      syncs = 0;
      override syncDirectory(path: string): Promise<void> {
        this.syncs++;
        return super.syncDirectory(path);
      }
      override syncDirectorySync(path: string): void {
        this.syncs++;
        super.syncDirectorySync(path);
      }
    }
    using dir = new TemporaryDirectory();
    const counting = new CountingStorage();
    {
      await using log = await Log.open(dir.file("log"), { storage: counting });
      await log.appendDurable("hello");
    }
    const opened = counting.syncs;
    assert(opened > 0);
    {
      using log = Log.openSync(dir.file("log"), { storage: counting });
      log.append("hello");
    }
    assert(counting.syncs > opened);
  },
);

Deno.test("DiskStorage refuses an unknown 'direct'", () => {
  assertThrows(
    () => new DiskStorage({ direct: "yes" as "never" }),
    TypeError,
    `'direct' must be "require", "prefer" or "never": received "yes"`,
  );
});

Deno.test("DiskStorage.list() orders by name and reports types", {
  ignore: !FILES,
}, async () => {
  using dir = new TemporaryDirectory();
  for (const name of ["b", "a", "10", "9", "B"]) {
    Deno.writeTextFileSync(dir.file(name), "");
  }
  Deno.mkdirSync(dir.file("aa"));
  Deno.symlinkSync("a", dir.file("link"));
  const entries = await storage.list(dir.path);
  assertEquals(storage.listSync(dir.path), entries);
  assertEquals(
    entries.map(({ name, isFile, isDirectory }) => [name, isFile, isDirectory]),
    [
      ["10", true, false],
      ["9", true, false],
      ["B", true, false],
      ["a", true, false],
      ["aa", false, true],
      ["b", true, false],
      ["link", false, false],
    ],
  );
});

Deno.test(
  "DiskStorage.rename() replaces, remove() removes",
  { ignore: !FILES },
  async () => {
    using dir = new TemporaryDirectory();
    for (const mode of ["async", "sync"]) {
      Deno.writeTextFileSync(dir.file("a"), "a");
      Deno.writeTextFileSync(dir.file("b"), "b");
      if (mode === "async") await storage.rename(dir.file("a"), dir.file("b"));
      else storage.renameSync(dir.file("a"), dir.file("b"));
      assertEquals(Deno.readTextFileSync(dir.file("b")), "a");
      if (mode === "async") await storage.remove(dir.file("b"));
      else storage.removeSync(dir.file("b"));
      assertEquals(storage.listSync(dir.path), []);
    }
  },
);

Deno.test("DiskStorage gives errors their class, code, syscall and path", {
  ignore: !FILES,
}, async () => {
  using dir = new TemporaryDirectory();
  const path = dir.file("missing");
  Deno.writeTextFileSync(dir.file("file"), "");
  const calls: [string, () => unknown, () => Promise<unknown>][] = [
    ["open", () => storage.openSync(path), () => storage.open(path)],
    [
      "rename",
      () => storage.renameSync(path, `${path}2`),
      () => storage.rename(path, `${path}2`),
    ],
    ["unlink", () => storage.removeSync(path), () => storage.remove(path)],
    ["scandir", () => storage.listSync(path), () => storage.list(path)],
    [
      "open",
      () => storage.syncDirectorySync(path),
      () => storage.syncDirectory(path),
    ],
    [
      "open",
      () => storage.lock(path),
      () => Promise.try(() => storage.lock(path)),
    ],
  ];
  for (const [syscall, sync, async] of calls) {
    for (
      const error of [
        assertThrows(sync),
        await assertRejects(async),
      ] as (Error & Record<string, unknown>)[]
    ) {
      assertEquals([error.constructor, error.code, error.syscall, error.path], [
        Deno.errors.NotFound,
        "ENOENT",
        syscall,
        path,
      ]);
    }
  }
  for (
    const error of [
      assertThrows(() => storage.makeDirectorySync(dir.file("file"))),
      assertThrows(() => storage.makeDirectorySync(dir.file("file/x"))),
      assertThrows(() => storage.syncDirectorySync(dir.file("file"))),
      await assertRejects(() => storage.makeDirectory(dir.file("file"))),
    ]
  ) assert(error instanceof Deno.errors.NotADirectory, String(error));
});

Deno.test(
  "DiskStorage.makeDirectory() makes missing parents, and returns whether it made anything",
  { ignore: !FILES },
  async () => {
    using dir = new TemporaryDirectory();
    assertEquals(await storage.makeDirectory(dir.file("a/b/c")), true);
    assertEquals(await storage.makeDirectory(dir.file("a/b/c")), false);
    assertEquals(storage.makeDirectorySync(dir.file("a/b/d/e//f/")), true);
    assertEquals(storage.makeDirectorySync(dir.file("a/b/d/e/f")), false);
    assert(Deno.statSync(dir.file("a/b/c")).isDirectory);
    assertEquals(storage.listSync(dir.file("a/b")).map((entry) => entry.name), [
      "c",
      "d",
    ]);
    assertEquals(storage.makeDirectorySync("/"), false);
    assertThrows(() => storage.makeDirectorySync(""), Deno.errors.NotFound);
  },
);

Deno.test(
  "DiskStorage.makeDirectory() syncs each directory that got a new name",
  { ignore: !hasProgram("strace") },
  async () => {
    using dir = new TemporaryDirectory();
    const path = dir.file("a/b");
    const trace = dir.file("trace");
    await runScript(
      new URL("make_directory_child.ts", import.meta.url),
      ["-A"],
      [path],
      [
        "strace",
        "-f",
        "-y",
        "-e",
        "trace=fsync",
        "-o",
        trace,
      ],
    );
    const synced = [
      ...Deno.readTextFileSync(trace).matchAll(/fsync\(\d+<([^>]*)>\)/g),
    ].map((match) => match[1]);
    // The runtime syncs files of its own.
    const ours = synced.filter((each) => each?.startsWith(dir.path));
    assertEquals(ours, [dir.path, dir.file("a")]);
  },
);

Deno.test(
  "DiskStorage.syncDirectory() syncs in the async and the sync version",
  {
    ignore: !FILES,
  },
  async () => {
    using dir = new TemporaryDirectory();
    await storage.syncDirectory(dir.path);
    storage.syncDirectorySync(dir.path);
  },
);

Deno.test(
  "DiskStorage.lock() is refused to others, here and in other processes, until it is released",
  { ignore: !ALL },
  async () => {
    using dir = new TemporaryDirectory();
    const elsewhere = () =>
      runScript(new URL("lock_child.ts", import.meta.url), ["-A"], [dir.path]);
    assertEquals(await elsewhere(), true);
    const lock = storage.lock(dir.path)!;
    assertEquals(storage.lock(dir.path), undefined);
    assertEquals(new DiskStorage().lock(dir.path), undefined);
    assertEquals(await elsewhere(), false);
    lock.release();
    assertEquals(await elsewhere(), true);
    const again = storage.lock(dir.path)!;
    // Releasing it twice does not release a later lock.
    lock.release();
    assertEquals(storage.lock(dir.path), undefined);
    again.release();
  },
);

Deno.test("DiskStorage.now() is the time in whole microseconds, and steady within a millisecond", () => {
  let last = 0;
  let changes = 0;
  for (let i = 0; i < 20_000; i++) {
    const before = Date.now();
    const now = storage.now();
    assert(Number.isSafeInteger(now));
    assert(now >= before * 1000 && now < (Date.now() + 1) * 1000);
    if (Math.floor(now / 1000) === Math.floor(last / 1000)) assert(now >= last);
    if (now !== last) changes++;
    last = now;
  }
  assert(changes > 20, `only ${changes} different times`);
});

Deno.test("DiskStorage.random() fills views of any length", () => {
  for (const length of [0, 1, 16, 65_536, 200_000]) {
    const bytes = new Uint8Array(length);
    assertEquals(storage.random(bytes), bytes);
    if (length > 65_536) {
      assert(bytes.subarray(65_536, 65_600).some((byte) => byte !== 0));
      assert(bytes.subarray(-64).some((byte) => byte !== 0));
    }
  }
});

Deno.test("DiskStorage.delay() waits, and ends with its signal", async () => {
  const started = performance.now();
  await storage.delay(20);
  storage.delaySync(20);
  assert(performance.now() - started >= 39);
  const controller = new AbortController();
  const delay = storage.delay(60_000, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => delay, Error, "enough");
  await assertRejects(
    () =>
      storage.delay(60_000, { signal: AbortSignal.abort(new Error("before")) }),
    Error,
    "before",
  );
});

Deno.test("DiskStorage.after() does not keep the process alive", {
  ignore: !ALL,
}, async () => {
  const module = new URL("../../storage.ts", import.meta.url);
  const program = `import { DiskStorage } from "${module}";
    new DiskStorage().after(60_000, () => console.log("ran"));
    console.log("end");`;
  const started = performance.now();
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", program],
  }).output();
  assert(success);
  assertEquals(new TextDecoder().decode(stdout), "end\n");
  assert(performance.now() - started < 50_000);
});
