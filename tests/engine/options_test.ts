import { assert, assertEquals, assertThrows } from "@std/assert";
import { configureEngine, engine } from "../../lib/engine/mod.ts";
import { native } from "../../lib/native/mod.ts";
import { ALL } from "../permissions.ts";
import { TemporaryDirectory } from "./_files.ts";
import { REFUSE_RINGS, run, type RunOptions } from "./_program.ts";

/** Whether this system allows a ring. The ring is created on this thread, and closed again. */
const RING = (() => {
  const port = native().basalt_engine_open(2, new Uint32Array(2));
  if (port >= 0) native().basalt_engine_close(port);
  return port >= 0;
})();

async function outcome(
  source: string,
  options: RunOptions,
): Promise<string> {
  using directory = new TemporaryDirectory();
  const { output } = await run(source, directory.path, options);
  return output;
}

Deno.test("configureEngine() does not change an engine in use", () => {
  engine();
  assertThrows(() => configureEngine({}), TypeError, "in use");
});

Deno.test({
  name:
    "configureEngine() and BASALT_ENGINE force a kind, and the first has precedence",
  ignore: !ALL,
  async fn() {
    const tell = "console.log(engine().kind, engine().reason);";
    for (const kind of ["threads", "plain", ...RING ? ["uring"] : []]) {
      const named = await outcome(tell, { env: { BASALT_ENGINE: kind } });
      assert(named.startsWith(`${kind} asked for by BASALT_ENGINE: `), named);
      const asked = await outcome(
        `configureEngine({ kind: "${kind}" }); ${tell}`,
        { env: { BASALT_ENGINE: "plain" } },
      );
      assert(asked.startsWith(`${kind} asked for by configureEngine: `), asked);
    }
    const wrong = await outcome(tell, { env: { BASALT_ENGINE: "fast" } });
    assert(wrong.includes("'BASALT_ENGINE' must be \"auto\""), wrong);
    const refused = await outcome(
      `for (const each of [{ kind: "fast" }, { wait: 7 }]) {
        try {
          configureEngine(each);
        } catch (error) {
          console.log(error.name, error.message.split("'")[1]);
        }
      }`,
      {},
    );
    assertEquals(refused, "TypeError kind\nTypeError wait\n");
  },
});

Deno.test({
  name: "BASALT_ENGINE is not read without the permission, and does not prompt",
  ignore: !ALL,
  async fn() {
    const output = await outcome("console.log(engine().kind);", {
      args: ["--allow-ffi", "--no-prompt"],
      env: { BASALT_ENGINE: "plain" },
    });
    assertEquals(output, `${RING ? "uring" : "threads"}\n`);
  },
});

Deno.test({
  name:
    "engine() uses threads where rings are refused, says why, and fails if a ring was required",
  ignore: !ALL,
  async fn() {
    const env = { BASALT_ENGINE: "auto" };
    const auto = await outcome(
      `${REFUSE_RINGS} console.log(engine().kind, engine().reason);`,
      { env },
    );
    assert(auto.startsWith("threads io_uring is refused (EPERM: "), auto);
    const forced = await outcome(
      `${REFUSE_RINGS}
      configureEngine({ kind: "uring" });
      for (let i = 0; i < 2; i++) {
        try {
          engine();
        } catch (error) {
          console.log(error.name, error.found);
        }
      }`,
      { env },
    );
    const line =
      "UnsupportedError io_uring is refused (EPERM: by kernel.io_uring_disabled or the sandbox)\n";
    assertEquals(forced, line + line);
  },
});

Deno.test({
  name:
    "engine() reads the same bytes with every way of waiting, also by sync reads among others in flight",
  ignore: !ALL,
  async fn() {
    for (const kind of ["threads", "plain", ...RING ? ["uring"] : []]) {
      for (const wait of ["bounded", "reaper"]) {
        const output = await outcome(
          `
            configureEngine(${JSON.stringify({ kind, wait })});
            const path = Deno.args[0] + "/bytes";
            const bytes = Uint8Array.from({ length: 1 << 18 }, (_, i) => i >> 12);
            Deno.writeFileSync(path, bytes);
            const pool = new BufferPool();
            using file = DirectFile.openSync(path, { read: true, write: true, pool });
            let turns = 0;
            const check = (buffer, at) => {
              if (!buffer.bytes.every((byte) => byte === at)) throw new Error("wrong bytes at " + at);
            };
            for (let round = 0; round < 20; round++) {
              let settled = 0;
              const others = Array.from({ length: 40 }, async (_, i) => {
                using buffer = pool.acquireSync(4096);
                await file.read(buffer, i * 4096);
                check(buffer, i);
                settled++;
              });
              // In every other round a sync is in flight, too.
              if (round % 2 === 1) others.push(file.sync());
              await Promise.resolve();
              for (let i = 0; i < 10; i++) {
                using buffer = pool.acquireSync(4096);
                file.readSync(buffer, (63 - i) * 4096);
                check(buffer, 63 - i);
              }
              if (settled !== 0) throw new Error("settled within a blocking call");
              await Promise.all(others);
            }
            if (pool.stats().inUseBytes !== 0) throw new Error("in use");
            console.log("done");
            `,
          {},
        );
        assertEquals(output, "done\n", `${kind} ${wait}`);
      }
    }
  },
});

Deno.test({
  name: "DiskStorage.isIdle() is false while the thread must not wait",
  ignore: !ALL,
  async fn() {
    for (const wait of ["bounded", "reaper"]) {
      const output = await outcome(
        `
        const storage = new DiskStorage();
        const idle = [storage.isIdle()];
        configureEngine({ wait: ${JSON.stringify(wait)} });
        idle.push(storage.isIdle());
        using file = storage.openSync(Deno.args[0] + "/file", { write: true, create: true });
        idle.push(storage.isIdle());
        const syncing = file.sync();
        idle.push(storage.isIdle());
        await syncing;
        idle.push(storage.isIdle());
        console.log(idle.map(Number).join(""));
        `,
        {},
      );
      assertEquals(output, wait === "bounded" ? "11101\n" : "10000\n");
    }
  },
});
