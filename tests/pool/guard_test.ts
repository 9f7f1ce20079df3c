/**
 * Runs the misuse tests with a library whose free blocks are unreadable: an access to memory
 * without an owner would kill the process.
 */
import { assert, assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const decoder = new TextDecoder();

let library: Promise<string> | undefined;

/** Builds the library with free blocks protected. Cargo does nothing if it is already built. */
async function build(): Promise<string> {
  const directory = `${ROOT}rust/target/guard`;
  const { success, stderr } = await new Deno.Command("cargo", {
    args: [
      "build",
      "--release",
      "--features=guard",
      `--manifest-path=${ROOT}rust/Cargo.toml`,
      `--target-dir=${directory}`,
    ],
    stdout: "null",
    stderr: "piped",
  }).output();
  assert(success, decoder.decode(stderr));
  return `${directory}/release/libbasalt.so`;
}

async function guarded(...args: string[]): Promise<Deno.CommandOutput> {
  return await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { BASALT_LIBRARY: await (library ??= build()), NO_COLOR: "1" },
  }).output();
}

const MISUSE = [
  "ownership",
  "frozen",
  "loan",
  "model",
  "orders",
  "forgotten",
  "workers",
];

for (const room of MISUSE) {
  Deno.test({
    name:
      `the guard build: ${room}_test.ts accesses no memory without an owner`,
    ignore: !ALL,
    async fn() {
      const { success, signal, stdout, stderr } = await guarded(
        "test",
        "--allow-all",
        "--no-check",
        "--preload=tests/preload.ts",
        `tests/pool/${room}_test.ts`,
      );
      const output = decoder.decode(stdout) + decoder.decode(stderr);
      assert(success, `${signal ?? ""}\n${output}`);
      assert(/ok \| [1-9]\d* passed .*\| 0 failed/.test(output), output);
    },
  });
}

const program = "tests/pool/guard_child.ts";

Deno.test({
  name: "the guard build: leased memory can be read",
  ignore: !ALL,
  async fn() {
    const { success, stdout } = await guarded("run", "-A", program, "leased");
    assertEquals([decoder.decode(stdout), success], [
      "touching\nread 1\n",
      true,
    ]);
  },
});

Deno.test({
  name: "the guard build: one read of freed memory kills the process",
  ignore: !ALL,
  async fn() {
    const { signal, stdout } = await guarded("run", "-A", program, "freed");
    assertEquals([decoder.decode(stdout), signal], ["touching\n", "SIGSEGV"]);
  },
});
