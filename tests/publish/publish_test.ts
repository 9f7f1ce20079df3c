/**
 * The package as a user gets it: the published files from a server, without the checkout and
 * without a toolchain.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { hasProgram } from "../machine.ts";
import { ALL } from "../permissions.ts";
import { publish, ROOT, run, withoutCheckout } from "./_support.ts";

const decoder = new TextDecoder();

/** Copies the checkout without build output. */
function copyCheckout(to: string): void {
  const copy = (name: string): void => {
    Deno.mkdirSync(`${to}/${name}`, { recursive: true });
    for (const entry of Deno.readDirSync(ROOT + name)) {
      const path = name + entry.name;
      if (/^(\.git|rust\/target|lib\/native\/embedded)$/.test(path)) continue;
      if (entry.isDirectory) copy(`${path}/`);
      else Deno.copyFileSync(ROOT + path, `${to}/${path}`);
    }
  };
  copy("");
}

/** A `cargo` that builds for x86-64 and fails for everything else. */
const CARGO = `#!/bin/sh
case "$*" in
*--version*) exit 0 ;;
*x86_64*) dir=rust/target/embed/x86_64-unknown-linux-gnu/release ;;
*) exit 101 ;;
esac
mkdir -p "$dir" && echo library > "$dir/libbasalt.so"
`;

Deno.test(
  "deno task embed fails when a target failed, and then deno publish fails",
  { ignore: !ALL },
  async () => {
    const dir = Deno.makeTempDirSync();
    try {
      const checkout = `${dir}/checkout`;
      copyCheckout(checkout);
      Deno.mkdirSync(`${dir}/bin`);
      const programs = { cargo: CARGO, "cargo-zigbuild": CARGO };
      for (const [name, text] of Object.entries(programs)) {
        Deno.writeTextFileSync(`${dir}/bin/${name}`, text, { mode: 0o755 });
      }
      // Where Rust keeps the standard library of a target.
      Deno.writeTextFileSync(`${dir}/bin/rustc`, "#!/bin/sh\necho /\n", {
        mode: 0o755,
      });
      const deno = async (...args: string[]): Promise<string> => {
        const { code, stdout, stderr } = await new Deno.Command(
          Deno.execPath(),
          {
            args,
            cwd: checkout,
            stdin: "null",
            env: {
              NO_COLOR: "1",
              PATH: `${dir}/bin:${Deno.env.get("PATH")}`,
            },
          },
        ).output();
        return `${code}: ${decoder.decode(stdout)}${decoder.decode(stderr)}`;
      };
      const publish = ["publish", "--dry-run", "--allow-dirty", "--no-check"];
      const embed = ["task", "embed"];
      const missing = "lib/native/embedded/mod.ts";

      assertStringIncludes(await deno(...publish), missing);
      const whole = await deno(...embed, "x86_64-unknown-linux-gnu");
      assert(whole.startsWith("0: "), whole);
      const published = await deno(...publish);
      assert(published.startsWith("0: "), published);

      const failed = await deno(...embed);
      assert(failed.startsWith("1: "), failed);
      assertStringIncludes(failed, "aarch64-unknown-linux-gnu cannot be built");
      const refused = await deno(...publish);
      assert(refused.startsWith("1: "), refused);
      assertStringIncludes(refused, missing);

      const unknown = await deno(...embed, "riscv");
      assert(unknown.startsWith("2: "), unknown);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);

/** Serves a directory on the loopback interface. */
function serve(directory: string): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
  }, async (request) => {
    try {
      const { pathname } = new URL(request.url);
      const bytes = await Deno.readFile(directory + pathname);
      const type = pathname.endsWith(".ts")
        ? "text/typescript"
        : "application/octet-stream";
      return new Response(bytes, { headers: { "content-type": type } });
    } catch {
      return new Response(null, { status: 404 });
    }
  });
}

/**
 * Returns the flags in the README for a program with files in `data`, which exists or is made by
 * the program.
 */
function documentedFlags(isThere = true): string[] {
  const readme = Deno.readTextFileSync(`${ROOT}README.md`);
  const commands = [...readme.matchAll(/^deno run (.+) main\.ts$/gm)];
  assertEquals(commands.length, 2);
  return commands[isThere ? 0 : 1]![1]!.split(" ");
}

Deno.test(
  "the published files work from a server with the documented permissions, without checkout, toolchain or caches",
  { ignore: !hasProgram("cargo") },
  async (t) => {
    const dir = Deno.makeTempDirSync();
    const published = `${dir}/published`;
    const work = `${dir}/work`;
    const home = `${dir}/home`;
    for (const each of [published, `${work}/data`, home]) {
      Deno.mkdirSync(each, { recursive: true });
    }
    try {
      const names = await publish(published);
      assert(names.includes("mod.ts") && names.includes("rust/build.rs"));
      assert(!names.some((name) => /^(tests|tools)\/|\/demo/.test(name)));
      // The package's page resolves a relative link in the package, unless a repository is linked.
      const readme = Deno.readTextFileSync(`${ROOT}README.md`);
      const links = [...readme.matchAll(/\]\(([^)#]*)[^)]*\)/g)]
        .map(([, target]) => target!)
        .filter((target) => target !== "" && !/^https?:/.test(target));
      assert(links.length > 5);
      assertEquals(links.filter((target) => !names.includes(target)), []);
      Deno.copyFileSync(
        new URL("program_child.ts", import.meta.url),
        `${work}/main.ts`,
      );
      const hidden = await withoutCheckout();
      await using server = serve(published);
      const host = `127.0.0.1:${server.addr.port}`;
      const cache = `${home}/.cache/basalt`;
      const start = async (
        flags: string[],
        main: string,
        data: string,
      ): Promise<string> => {
        const [command, ...args] = [
          ...hidden,
          Deno.execPath(),
          "run",
          "--no-prompt",
          "--quiet",
          // Unlike jsr.io, this server is not among the hosts from which Deno always imports.
          `--allow-import=${host}`,
          ...flags,
          main,
          `http://${host}/mod.ts`,
          data,
        ];
        return await run(command!, args, {
          cwd: work,
          clearEnv: true,
          env: { HOME: home, DENO_DIR: `${home}/deno`, PATH: "/usr/bin:/bin" },
        });
      };
      const program = async (flags: string[]): Promise<unknown> => {
        const output = await start(flags, "main.ts", "data");
        Deno.removeSync(`${work}/data/blocks`);
        return JSON.parse(output);
      };
      const soname = /^libbasalt-\d+\.\d+\.\d+\.so$/;

      await t.step(
        "with the permissions of the README, from memory",
        async () => {
          const { origin, library, leased } = await program(
            documentedFlags(),
          ) as
            & Record<"origin" | "library", string>
            & { leased: number };
          assertEquals({ origin, leased }, { origin: "memory", leased: 0 });
          assert(soname.test(library), library);
          assertEquals([...Deno.readDirSync(home)].map(({ name }) => name), [
            "deno",
          ]);
        },
      );

      await t.step("with permission for the cache, from there", async () => {
        const flags = [
          "--allow-ffi",
          "--allow-env=HOME,XDG_CACHE_HOME",
          `--allow-read=data,${cache}`,
          `--allow-write=data,${cache}`,
        ];
        for (let i = 0; i < 2; i++) {
          const { origin, library } = await program(flags) as Record<
            "origin" | "library",
            string
          >;
          assertEquals(origin, "cache");
          assertStringIncludes(library, `${cache}/libbasalt-`);
        }
        assertEquals([...Deno.readDirSync(cache)].length, 1);
      });

      await t.step(
        "with the permissions of the README, in a directory that does not exist",
        async () => {
          const log = new URL("first_log_child.ts", import.meta.url);
          Deno.copyFileSync(log, `${work}/first_log_child.ts`);
          const flags = documentedFlags(false);
          Deno.removeSync(`${work}/data`);
          for (const missing of flags) {
            const less = flags.filter((flag) => flag !== missing);
            const failed = await start(less, "first_log_child.ts", "data").then(
              () => "",
              String,
            );
            assertStringIncludes(failed, "NotCapable", missing);
          }
          const names = [...Deno.readDirSync(work)].map(({ name }) => name);
          assertEquals(names.sort(), ["first_log_child.ts", "main.ts"]);
          assertEquals(await start(flags, "first_log_child.ts", "data"), "1\n");
          Deno.removeSync(`${work}/data`, { recursive: true });
          Deno.mkdirSync(`${work}/data`);
        },
      );

      await t.step(
        "fewer permissions than in the README are refused",
        async () => {
          for (const missing of documentedFlags()) {
            const flags = documentedFlags().filter((flag) => flag !== missing);
            const failed = await program(flags).then(() => "", String);
            assertStringIncludes(failed, "NotCapable", missing);
          }
        },
      );
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);
