/** The package in a runtime other than Deno. */
import { assert, assertEquals } from "@std/assert";
import { hasProgram } from "../machine.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const ENTRIES: Readonly<Record<string, string>> = {
  mod: "mod.ts",
  iggy: "lib/iggy/mod.ts",
  cli: "lib/cli/mod.ts",
  storage: "storage.ts",
  testing: "lib/testing/mod.ts",
};

const ESBUILD = [
  "run",
  "--quiet",
  "--allow-all",
  "--no-lock",
  "--no-config",
  "npm:esbuild@0.25.12",
];

/** Packages that only two commands load, when they run. */
const NATS = ["jetstream", "nats-core", "transport-node"]
  .map((name) => `@nats-io/${name}`);

/** Bundles the entry points as plain JavaScript. */
async function bundle(to: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...ESBUILD,
      ...Object.entries(ENTRIES).map(([name, path]) => `${name}=${path}`),
      "--bundle",
      "--format=esm",
      "--out-extension:.js=.mjs",
      "--platform=node",
      "--target=node20",
      // Generated, so it may be missing.
      "--external:./embedded/*",
      // It is not installed, because nothing here calls it.
      `--alias:commander=${to}/commander.mjs`,
      ...NATS.map((name) => `--alias:${name}=${to}/nothing.cjs`),
      `--outdir=${to}`,
      "--log-level=error",
    ],
    cwd: ROOT,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
}

const RUNTIMES = ["node", "bun"].filter((name) => hasProgram(name));
const obstacle = RUNTIMES.length === 0
  ? "needs Node.js or Bun"
  : hasProgram(Deno.execPath(), ESBUILD)
  ? undefined
  : "needs esbuild from npm";

Deno.test(
  `the package can be imported in other runtimes, and its first use reports what is needed${
    obstacle === undefined ? "" : ` (skipped: ${obstacle})`
  }`,
  { ignore: obstacle !== undefined },
  async () => {
    const dir = Deno.makeTempDirSync();
    try {
      const names =
        "Command, CommanderError, Help, InvalidArgumentError, Option";
      Deno.writeTextFileSync(
        `${dir}/commander.mjs`,
        names.split(", ").map((name) => `export class ${name} {}`).join("\n"),
      );
      Deno.writeTextFileSync(`${dir}/nothing.cjs`, "module.exports = {};");
      await bundle(dir);
      for (const runtime of RUNTIMES) {
        const { stdout, stderr } = await new Deno.Command(runtime, {
          args: [
            new URL("other_runtimes_child.mjs", import.meta.url).pathname,
            dir,
          ],
        }).output();
        const text = new TextDecoder();
        assertEquals(text.decode(stderr), "");
        const thrown: Record<string, Record<string, string>> = JSON.parse(
          text.decode(stdout),
        );
        for (
          const [use, { name, message, found, needed }] of Object.entries(
            thrown,
          )
        ) {
          assertEquals(name, "UnsupportedError", `${use}: ${message}`);
          assert(/^(Node\.js|Bun)\/\d+/.test(found!), found);
          assert(needed!.startsWith("Deno on Linux"), needed);
        }
        assertEquals(Object.keys(thrown).length, 18);
      }
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);
