/** The program from a server, as `deno run jsr:@basalt/io/cli` gets it. */
import { assertEquals } from "@std/assert";
import project from "../../deno.json" with { type: "json" };
import { ALL } from "../permissions.ts";
import { Directory } from "./_support.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const LIBRARY = `${ROOT}rust/target/release/libbasalt.so`;

const TYPES: Readonly<Record<string, string>> = {
  ts: "text/typescript",
  json: "application/json",
};

const PACKAGES = Object.entries<string>(
  project.imports,
).filter(([, target]) => target.startsWith("npm:"));

/** Replaces the names of the import map, like `deno publish`. */
function unfurled(text: string): string {
  return PACKAGES.reduce(
    (text, [name, target]) =>
      text.replaceAll(`from "${name}";`, `from "${target}";`),
    text,
  );
}

/** Returns where Deno keeps packages of npm. */
async function packages(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json"],
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).npmCache;
}

Deno.test(
  "basalt runs from a server, with the permissions of the README and without configuration",
  { ignore: !ALL },
  async () => {
    using dir = new Directory();
    await using server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
    }, async (request) => {
      const { pathname } = new URL(request.url);
      const type = TYPES[pathname.replace(/.*\./, "")];
      // Only published files. The embedded library may not have been built.
      if (!/^\/(lib\/.*|mod\.ts|deno\.json)$/.test(pathname) || !type) {
        return new Response(null, { status: 404 });
      }
      try {
        const text = await Deno.readTextFile(`${ROOT}${pathname.slice(1)}`);
        return new Response(unfurled(text), {
          headers: { "content-type": type },
        });
      } catch {
        return new Response(null, { status: 404 });
      }
    });
    const host = `127.0.0.1:${server.addr.port}`;
    // Modules of this server go into a cache of their own, and packages come from the existing one.
    Deno.mkdirSync(dir.file("deno"));
    Deno.symlinkSync(await packages(), dir.file("deno/npm"));
    const basalt = async (...args: string[]): Promise<string> => {
      const { success, stdout, stderr } = await new Deno.Command(
        Deno.execPath(),
        {
          args: [
            "run",
            "--no-prompt",
            "--quiet",
            "--no-config",
            `--allow-import=${host}`,
            "--allow-ffi",
            "--allow-read",
            "--allow-write",
            "--allow-env=BASALT_LIBRARY",
            `http://${host}/lib/cli/mod.ts`,
            ...args,
          ],
          cwd: dir.path,
          env: { DENO_DIR: dir.file("deno"), BASALT_LIBRARY: LIBRARY },
        },
      ).output();
      const text = new TextDecoder();
      assertEquals([success, text.decode(stderr)], [true, ""]);
      return text.decode(stdout);
    };
    Deno.writeTextFileSync(dir.file("input"), "one\ntwo");
    assertEquals(
      JSON.parse(await basalt("ingest", "input", "--into", "log", "--json")),
      {
        messages: 2,
        bytes: 7,
        firstOffset: 0,
        path: "log",
      },
    );
    assertEquals(await basalt("read", "log", "--raw"), "one\ntwo");
    assertEquals(await basalt("--version"), `${project.version}\n`);
  },
);
