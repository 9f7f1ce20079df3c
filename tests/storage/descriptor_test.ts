/**
 * How a path becomes a descriptor of the library: always the right file, whatever else happens in
 * the process, and without Node where possible.
 */
import { assertEquals } from "@std/assert";
import { DirectFile } from "../../lib/storage/mod.ts";
import { ALL, FILES } from "../permissions.ts";
import { runScript } from "./_subprocess.ts";
import { TemporaryDirectory, TestPool } from "./_tiers.ts";

const COUNT = 40;

/** Makes files that begin with their number. */
function numbered(dir: TemporaryDirectory): string[] {
  return Array.from({ length: COUNT }, (_, i) => {
    const path = dir.file(String(i));
    Deno.writeFileSync(path, new Uint8Array(4096).fill(i));
    return path;
  });
}

function firstByte(file: DirectFile): number {
  using part = file.readAtSync(0, 1);
  return part.bytes[0]!;
}

Deno.test(
  "DirectFile.open() adopts the file that it opened while other threads open and close the same ones",
  {
    ignore: !ALL,
  },
  async () => {
    using dir = new TemporaryDirectory();
    using pool = new TestPool();
    const paths = numbered(dir);
    const url = new URL("churn_worker.ts", import.meta.url);
    const workers = [1, 2].map(() => new Worker(url, { type: "module" }));
    try {
      await Promise.all(workers.map((worker) =>
        new Promise((resolve) => {
          worker.onmessage = resolve;
          worker.postMessage(paths);
        })
      ));
      for (let round = 0; round < 3; round++) {
        const files = await Promise.all(
          paths.map((path, i) =>
            i % 2 === 0
              ? DirectFile.openSync(path, { pool })
              : DirectFile.open(path, { pool })
          ),
        );
        assertEquals(files.map(firstByte), paths.map((_, i) => i));
        for (const file of files) file.closeSync();
      }
    } finally {
      for (const worker of workers) worker.terminate();
    }
  },
);

Deno.test(
  "DirectFile.open() opens either file while two files alternate at a path, and leaks no descriptor",
  { ignore: !ALL },
  async () => {
    using dir = new TemporaryDirectory();
    using pool = new TestPool();
    const files = numbered(dir).slice(0, 2);
    const inodes = files.map((file) => Deno.statSync(file).ino);
    const path = dir.file("swapped");
    const url = new URL("swap_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const message = () => new Promise((resolve) => worker.onmessage = resolve);
    try {
      const started = message();
      worker.postMessage({ files, path, stop });
      await started;
      for (let i = 0; i < 200; i++) {
        using file = i % 2 === 0
          ? DirectFile.openSync(path, { pool })
          : await DirectFile.open(path, { pool });
        assertEquals(inodes[firstByte(file)], file.statSync().inode);
      }
    } finally {
      const stopped = message();
      Atomics.store(stop, 0, 1);
      await stopped;
      worker.terminate();
    }
    const left = [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith(dir.path);
      } catch {
        return false;
      }
    });
    assertEquals(left, []);
  },
);

Deno.test(
  "DirectFile.open() distinguishes descriptors of one file that are open for reading and for writing",
  {
    ignore: !FILES,
  },
  () => {
    using dir = new TemporaryDirectory();
    using pool = new TestPool();
    const path = dir.file("x");
    Deno.writeFileSync(path, new Uint8Array(4096));
    using others = new DisposableStack();
    for (let i = 0; i < COUNT; i++) {
      others.use(Deno.openSync(path, { read: true })).seekSync(i, 0);
    }
    using block = pool.acquireSync(4096);
    block.bytes.fill(7);
    for (let i = 0; i < COUNT; i++) {
      const read = others.use(DirectFile.openSync(path, { pool }));
      const both = others.use(
        DirectFile.openSync(path, { read: true, write: true, pool }),
      );
      both.writeSync(block, 0);
      assertEquals(firstByte(read), 7);
    }
  },
);

Deno.test(
  "DirectFile and DiskStorage open, create, lock and sync without Node, except where opening could block",
  {
    ignore: !ALL,
  },
  async () => {
    using dir = new TemporaryDirectory();
    const fifo = dir.file("fifo");
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    Deno.symlinkSync("fifo", dir.file("fifo link"));
    const { usual, unusual } = await runScript(
      new URL("without_node_child.ts", import.meta.url),
      ["-A"],
      [
        dir.path,
      ],
    ) as Record<string, Record<string, string>>;
    const { missing, missingSync, exists, ...others } = usual!;
    assertEquals([missing, missingSync, exists], [
      "NotFound",
      "NotFound",
      "AlreadyExists",
    ]);
    for (const [name, outcome] of Object.entries(others)) {
      assertEquals(outcome, "done", name);
    }
    for (const [name, outcome] of Object.entries(unusual!)) {
      assertEquals(outcome, "needs Node", name);
    }
  },
);

Deno.test(
  "DirectFile.open() of many files queries the permission of their directory, as the runtime keeps each queried path",
  {
    ignore: !ALL,
  },
  async () => {
    using dir = new TemporaryDirectory();
    const asked = (...flags: string[]) =>
      runScript(new URL("permission_queries_child.ts", import.meta.url), [
        "--allow-ffi",
        ...flags,
      ], [
        dir.path,
      ]);
    const { path } = dir;
    const some = [`--allow-read=${path}`, `--allow-write=${path}`];
    assertEquals(await asked(...some), ["undefined", path]);
    for (const { name } of Deno.readDirSync(path)) {
      Deno.removeSync(`${path}/${name}`);
    }
    assertEquals(await asked("--allow-read", "--allow-write"), ["undefined"]);
  },
);
