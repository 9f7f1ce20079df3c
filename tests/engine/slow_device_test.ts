/**
 * A device that hangs for a while: an ext4 on a loop device that is frozen (`fsfreeze(8)`) accepts
 * no write until it is thawed.
 *
 * It is mounted in a mount namespace of the program, and ends with it. A watchdog thaws it in any
 * case.
 */
import { assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import { TemporaryDirectory } from "./_files.ts";
import { PRELUDE, run } from "./_program.ts";

/** `$0` is the directory. The program follows. */
const MOUNT = `
  mkdir $0/mount && truncate -s 32M $0/image && mkfs.ext4 -q $0/image && mount -o loop $0/image $0/mount || exit 99
  (trap 'kill $sleep' TERM; sleep 50 & sleep=$!; wait $sleep && fsfreeze -u $0/mount) >/dev/null 2>&1 & watchdog=$!
  "$@"; code=$?
  kill $watchdog; fsfreeze -u $0/mount 2>/dev/null
  umount $0/mount
  exit $code
`;

const prefix = (path: string) => ["unshare", "-m", "sh", "-c", MOUNT, path];

/** What these programs have in addition. */
const FREEZER = `
  const freezer = (flag) => {
    const { success } = new Deno.Command("fsfreeze", { args: [flag, mount] }).outputSync();
    if (!success) throw new Error("fsfreeze " + flag);
  };
  const mount = Deno.args[0] + "/mount";
  const open = (pool, name = "data") => DirectFile.openSync(mount + "/" + name, { read: true, write: true, create: true, direct: "require", pool });
`;

/**
 * Whether a filesystem can be frozen here. It takes privileges, loop devices and programs that may
 * be missing.
 */
function possible(): boolean {
  if (!ALL) return false;
  using directory = new TemporaryDirectory();
  const [command, ...rest] = prefix(directory.path);
  try {
    const freeze = ["sh", "-c", "fsfreeze -f $0 && fsfreeze -u $0"];
    return new Deno.Command(command!, {
      args: [...rest, ...freeze, `${directory.path}/mount`],
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch {
    return false;
  }
}

const ignore = !possible();

async function outcome(kind: string, source: string): Promise<string> {
  using directory = new TemporaryDirectory();
  const { output } = await run(FREEZER + source, directory.path, {
    env: { BASALT_ENGINE: kind },
    prefix: prefix(directory.path),
  });
  return output;
}

for (const kind of ["uring", "threads"]) {
  Deno.test({
    name:
      `DirectFile on a device that hangs delays no other file, and closing waits for it (${kind})`,
    ignore,
    async fn() {
      const output = await outcome(
        kind,
        `
        const pool = new BufferPool();
        const slow = open(pool);
        using block = pool.acquireSync(65536, { zeroed: true });
        await slow.write(block, 0, { durability: "data" });
        const writes = Array.from({ length: 8 }, () => pool.acquireSync(65536, { zeroed: true }));
        Deno.writeFileSync("/dev/shm/basalt-" + Deno.pid, new Uint8Array(4096).fill(7));
        using other = DirectFile.openSync("/dev/shm/basalt-" + Deno.pid, { direct: "never", pool });
        Deno.removeSync("/dev/shm/basalt-" + Deno.pid);

        freezer("-f");
        let settled = 0;
        const results = writes.map(async (buffer, i) => {
          await slow.write(buffer, i * 65536, { durability: "data" });
          settled++;
        });
        const begin = performance.now();
        for (let i = 0; i < 200; i++) {
          using small = pool.acquireSync(4096);
          await other.read(small, 0);
          if (small.bytes[0] !== 7) throw new Error("wrong");
        }
        for (let i = 0; i < 20; i++) await sleep(5);
        // The device is frozen for up to 50 seconds.
        console.log("others", performance.now() - begin < 10_000, settled, slow.stats().inFlight);
        let closed = false;
        const closing = slow.close().then(() => closed = true);
        await sleep(50);
        console.log("closing", closed, pool.stats().inUseBytes >= 8 * 65536);
        // The thread that waits for the writes has nothing else to do.
        freezer("-u");
        await Promise.all(results);
        await closing;
        writes.forEach((buffer) => buffer.drop());
        console.log("thawed", settled, pool.stats().inUseBytes);
        `,
      );
      assertEquals(
        output,
        "others true 0 8\nclosing false true\nthawed 8 65536\n",
      );
    },
  });

  Deno.test({
    name:
      `BufferPool gets the blocks of a terminated worker back after their last completion, and not before (${kind})`,
    ignore,
    async fn() {
      const output = await outcome(
        kind,
        `
        const pool = new BufferPool();
        open(pool).closeSync();
        const source = Deno.args[0] + "/worker.js";
        Deno.writeTextFileSync(source, ${JSON.stringify(PRELUDE)} + \`
          const pool = BufferPool.attach(\${pool.id});
          const file = DirectFile.openSync("\${mount}/data", { write: true, direct: "require", pool });
          for (let i = 0; i < 8; i++) {
            const buffer = pool.acquireSync(65536, { zeroed: true });
            buffer.bytes.fill(i + 1);
            file.write(buffer, i * 65536);
          }
          // By then each operation has begun. Others would end with the worker.
          await sleep(500);
          postMessage("started");
          await sleep(1e9);
        \`);
        freezer("-f");
        const worker = new Worker("file://" + source, { type: "module" });
        await new Promise((resolve) => worker.onmessage = resolve);
        worker.terminate();
        await sleep(300);
        console.log("frozen", pool.stats().inUseBytes);
        // Blocks that returned too early would be leased here, and written to the disk.
        const ours = Array.from({ length: 8 }, () => pool.acquireSync(65536));
        ours.forEach((buffer) => buffer.bytes.fill(0xee));
        freezer("-u");
        for (let i = 0; i < 1000 && pool.stats().inUseBytes > 8 * 65536; i++) await sleep(10);
        console.log("thawed", pool.stats().inUseBytes);
        const bytes = Deno.readFileSync(mount + "/data");
        console.log(bytes.includes(0xee), bytes.every((byte, at) => byte === 0 || byte === (at >> 16) + 1));
        `,
      );
      assertEquals(
        output,
        "frozen 524288\nthawed 524288\nfalse true\n",
      );
    },
  });

  Deno.test({
    name:
      `DirectFile completes while 40 threads of the runtime are blocked (${kind})`,
    ignore,
    async fn() {
      const output = await outcome(
        kind,
        `
        const size = { result: "isize", parameters: ["i32", "buffer", "usize"] };
        const { symbols: { pipe, read, write } } = Deno.dlopen("libc.so.6", {
          pipe: { parameters: ["buffer"], result: "i32" },
          read: { ...size, nonblocking: true },
          write: size,
        });
        const ends = new Int32Array(2);
        pipe(ends);
        const pool = new BufferPool();
        const file = open(pool);
        using block = pool.acquireSync(4096, { zeroed: true });
        await file.write(block, 0, { durability: "data" });
        const blocked = Array.from({ length: 40 }, () => read(ends[0], new Uint8Array(1), 1n));
        let released = false;
        const release = () => {
          released = true;
          write(ends[1], new Uint8Array(40), 40n);
        };
        const deadline = setTimeout(release, 20_000);
        await sleep(50);
        const begin = performance.now();
        new Deno.Command("sh", { args: ["-c", "fsfreeze -f " + mount + "; (sleep 0.3; fsfreeze -u " + mount + ") >&- 2>&- &"] }).outputSync();
        await file.write(block, 0, { durability: "data" });
        const first = performance.now() - begin;
        for (let i = 0; i < 20; i++) await file.sync("full");
        // An operation that needs one of these threads ends only after the deadline.
        console.log(first > 250, !released);
        await file.close();
        clearTimeout(deadline);
        if (!released) release();
        await Promise.all(blocked);
        `,
      );
      assertEquals(output, "true true\n");
    },
  });
}
