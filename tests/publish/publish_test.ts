/** The package as a user gets it: the files that would be published, from a server, without the checkout and without a toolchain. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { hasProgram } from "../machine.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const decoder = new TextDecoder();

/** Runs a command; gives what it printed on both streams. */
async function run(
  command: string,
  args: string[],
  options: Deno.CommandOptions = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd: ROOT,
    stdin: "null",
    ...options,
    env: { NO_COLOR: "1", ...options.env },
  }).output();
  const output = decoder.decode(stdout) + decoder.decode(stderr);
  assert(success, `${command} ${args.join(" ")}: ${output}`);
  return output;
}

/** Copies what `deno publish` would publish; gives the names. */
async function publish(to: string): Promise<string[]> {
  await run(Deno.execPath(), ["task", "embed", Deno.build.target]);
  const listed = await run(Deno.execPath(), [
    "publish",
    "--dry-run",
    "--allow-dirty",
    "--no-check",
  ]);
  const names = [...listed.matchAll(/^ +(file:\S+) \(/gm)].map(([, url]) =>
    decodeURIComponent(new URL(url!).pathname).slice(ROOT.length)
  );
  for (const name of names) {
    const path = `${to}/${name}`;
    Deno.mkdirSync(path.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.copyFileSync(`${ROOT}${name}`, path);
  }
  return names;
}

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

/** The flags that the README says are all that a program with files in `data` needs. */
function documentedFlags(): string[] {
  const readme = Deno.readTextFileSync(`${ROOT}README.md`);
  const [, flags] = /^deno run (.+) main\.ts$/m.exec(readme) ?? [];
  assert(flags !== undefined, "README.md names no command");
  return flags!.split(" ");
}

/** What hides the checkout from a command: an empty filesystem over it, where this machine lets us mount one. */
async function withoutCheckout(): Promise<string[]> {
  const hide = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount -t tmpfs none "$0" && exec "$@"',
    ROOT,
  ];
  try {
    const [command, ...args] = [...hide, "true"];
    const { success } = await new Deno.Command(command!, {
      args,
      stderr: "null",
    }).output();
    return success ? hide : [];
  } catch {
    return [];
  }
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
      assert(!names.some((name) => /^(tests|tools|bench)\//.test(name)));
      Deno.copyFileSync(
        new URL("program.ts", import.meta.url),
        `${work}/main.ts`,
      );
      const hidden = await withoutCheckout();
      await using server = serve(published);
      const host = `127.0.0.1:${server.addr.port}`;
      const cache = `${home}/.cache/basalt`;
      const program = async (flags: string[]): Promise<unknown> => {
        const [command, ...args] = [
          ...hidden,
          Deno.execPath(),
          "run",
          "--no-prompt",
          "--quiet",
          // A server of our own is not among the hosts that Deno imports from unasked, as jsr.io is.
          `--allow-import=${host}`,
          ...flags,
          "main.ts",
          `http://${host}/mod.ts`,
          "data",
        ];
        const output = await run(command!, args, {
          cwd: work,
          clearEnv: true,
          env: { HOME: home, DENO_DIR: `${home}/deno`, PATH: "/usr/bin:/bin" },
        });
        Deno.removeSync(`${work}/data/blocks`);
        return JSON.parse(output);
      };
      const soname = /^libbasalt-\d+\.\d+\.\d+\.so$/;

      await t.step("with what the README names, from memory", async () => {
        const { origin, library, leased } = await program(documentedFlags()) as
          & Record<"origin" | "library", string>
          & { leased: number };
        assertEquals({ origin, leased }, { origin: "memory", leased: 0 });
        assert(soname.test(library), library);
        assertEquals([...Deno.readDirSync(home)].map(({ name }) => name), [
          "deno",
        ]);
      });

      await t.step("with the cache permitted, from there", async () => {
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

      await t.step("less than the README names is refused", async () => {
        for (const missing of documentedFlags()) {
          const flags = documentedFlags().filter((flag) => flag !== missing);
          const failed = await program(flags).then(() => "", String);
          assertStringIncludes(failed, "NotCapable", missing);
        }
      });
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);
