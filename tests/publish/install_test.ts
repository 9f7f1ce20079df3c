/** `deno install` of the command line. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { ALL } from "../permissions.ts";
import { run } from "./_support.ts";

Deno.test({
  name: "deno install -g makes a command of the checkout that works elsewhere",
  ignore: !ALL,
  fn: async () => {
    const root = Deno.makeTempDirSync({ prefix: "basalt_install_" });
    try {
      await run(Deno.execPath(), [
        "install",
        "--global",
        "--root",
        root,
        "--name",
        "basalt",
        "--config",
        "deno.json",
        "--allow-ffi",
        "--allow-read",
        "--allow-write",
        "--allow-env=BASALT_LIBRARY",
        "lib/cli/mod.ts",
      ]);
      Deno.writeTextFileSync(`${root}/lines`, "one\ntwo\n");
      const basalt = (...args: string[]) =>
        run(`${root}/bin/basalt`, args, {
          cwd: root,
          env: {
            PATH: `${Deno.execPath().replace(/\/[^/]*$/, "")}:${
              Deno.env.get("PATH")
            }`,
          },
        });
      assertStringIncludes(await basalt("--help"), "ingest");
      await basalt("ingest", "lines", "--into", "log");
      assertEquals(await basalt("read", "log", "--raw"), "one\ntwo\n");
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  },
});
