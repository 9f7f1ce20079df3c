/**
 * An isolate that ends while its thread lives on, as when the runtime's watcher restarts a program.
 */
import { assert, assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import { TemporaryDirectory } from "./_files.ts";
import { module } from "./_program.ts";

const RESTARTS = 10;
/**
 * What each start leases and leaves. Ten times as much is far more than what the runtime itself
 * varies by.
 */
const LEAKED_BYTES = 64 * 1024 * 1024;

/** A program that leaves a log open with writes in flight when it is restarted. */
const program = (round: number) => `
  import { BufferPool, Log } from ${module("../../mod.ts")};
  const round = ${round};
  const log = await Log.open(${"Deno.env.get('LOG')"});
  await log.appendDurable("round " + round);
  const fds = [...Deno.readDirSync("/proc/self/fd")].length;
  const status = Deno.readTextFileSync("/proc/self/status");
  const resident = Number(/RssAnon:\\s+(\\d+) kB/.exec(status)[1]) * 1024;
  const leaked = new BufferPool().acquireSync(${LEAKED_BYTES});
  leaked.bytes.fill(1);
  console.log("ready", round, log.nextOffset, fds, resident);
  // Not awaited, so in flight at the end.
  for (let i = 0; i < 4; i++) log.appendBatch([new Uint8Array(1 << 16)]);
  log.flush().catch(() => {});
  setInterval(() => {}, 1000);
  export default { fetch: () => new Response("ok") };
`;

/** Starts a watched program and restarts it. Returns what each start printed. */
async function restarts(args: string[], dir: string): Promise<number[][]> {
  const file = `${dir}/main.ts`;
  Deno.writeTextFileSync(file, program(0));
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, "-A", "--no-check", file],
    env: { LOG: `${dir}/log`, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const starts: number[][] = [];
  const timer = setTimeout(() => child.kill("SIGKILL"), 120_000);
  let output = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    const ready = [...output.matchAll(/^ready (.*)\n/gm)];
    if (ready.length === starts.length) continue;
    starts.push(ready[starts.length]![1]!.split(" ").map(Number));
    if (starts.length > RESTARTS) break;
    // The watcher begins to watch once the program runs.
    await new Promise((resolve) => setTimeout(resolve, 300));
    Deno.writeTextFileSync(file, program(starts.length));
  }
  clearTimeout(timer);
  child.kill("SIGKILL");
  await child.status;
  return starts;
}

for (
  const args of [
    ["run", "--watch"],
    ["run", "--watch-hmr"],
    ["serve", "--watch", "--host=127.0.0.1", "--port=0"],
  ]
) {
  Deno.test({
    name: `deno ${
      args.slice(0, 2).join(" ")
    }: a log that is left open is free again with the next isolate, ten times, and no descriptor and no memory is left`,
    ignore: !ALL,
    async fn() {
      using directory = new TemporaryDirectory();
      const starts = await restarts(args, directory.path);
      assertEquals(starts.map(([round]) => round), [
        ...Array(RESTARTS + 1).keys(),
      ]);
      let offset = 0;
      for (const [, next] of starts) {
        assert(next! > offset, "what was durable before the restart is there");
        offset = next!;
      }
      const [, , fds, resident] = starts[1]!;
      const [, , lastFds, lastResident] = starts.at(-1)!;
      assert(lastFds! <= fds! + 2, `${fds} descriptors, then ${lastFds}`);
      assert(
        lastResident! <= resident! + LEAKED_BYTES,
        `${resident} bytes resident, then ${lastResident}`,
      );
    },
  });
}

Deno.test({
  name:
    "Log that one file of `deno test` leaves open is free again for the next files",
  ignore: !ALL,
  async fn() {
    using directory = new TemporaryDirectory();
    const dir = directory.path;
    const source = (file: number) => `
      import { Log } from ${module("../../mod.ts")};
      const options = { sanitizeOps: false, sanitizeResources: false };
      Deno.test("file ${file}", options, async () => {
        const log = await Log.open(${JSON.stringify(`${dir}/log`)});
        await log.appendDurable("file ${file}");
        if (log.nextOffset <= ${file}) throw new Error(String(log.nextOffset));
        for (let i = 0; i < 4; i++) log.appendBatch([new Uint8Array(1 << 16)]);
        log.flush().catch(() => {});
      });
    `;
    const files = Array.from({ length: 5 }, (_, i) => `${dir}/${i}_test.ts`);
    files.forEach((file, i) => Deno.writeTextFileSync(file, source(i)));
    const { success, stdout, stderr } = await new Deno.Command(
      Deno.execPath(),
      {
        args: ["test", "-A", "--no-check", ...files],
        env: { NO_COLOR: "1" },
        stdin: "null",
        signal: AbortSignal.timeout(120_000),
      },
    ).output();
    const text = new TextDecoder();
    assert(success, text.decode(stdout) + text.decode(stderr));
  },
});

Deno.test({
  name: "BufferPool memory is there for code that runs after `unload`",
  ignore: !ALL,
  async fn() {
    using directory = new TemporaryDirectory();
    const dir = directory.path;
    const source = `
      import { BufferPool } from ${module("../../mod.ts")};
      const options = { sanitizeOps: false, sanitizeResources: false };
      Deno.test("lease", options, () => {
        const { bytes } = BufferPool.default().acquireSync(${LEAKED_BYTES});
        const write = () => {
          bytes.fill(1);
          Deno.writeTextFileSync(${JSON.stringify(`${dir}/written`)}, "");
        };
        // Two turns later, when the library has ended what the isolate left.
        addEventListener("unload", () => {
          setImmediate(() => setImmediate(write));
        });
      });
    `;
    const file = `${dir}/lease_test.ts`;
    Deno.writeTextFileSync(file, source);
    const { success, signal } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--no-check", file],
      stdin: "null",
      stdout: "null",
      stderr: "null",
      signal: AbortSignal.timeout(120_000),
    }).output();
    assert(success, `the process ended by ${signal ?? "an error"}`);
    assert(Deno.statSync(`${dir}/written`).isFile);
  },
});
