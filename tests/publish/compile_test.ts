/** `deno compile` of a program with Basalt. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { hasProgram } from "../machine.ts";
import { ALL } from "../permissions.ts";
import { publish, run, withoutCheckout } from "./_support.ts";

/** Appends, reads back, and tells where the library came from. */
const PROGRAM = `import { loadLibrary, Log } from "./package/mod.ts";
const { origin } = loadLibrary();
await using log = await Log.open(Deno.args[0]!);
for (const text of ["one", "two"]) await log.appendDurable(text);
const texts: string[] = [];
for await (using batch of log.read()) {
  for (const message of batch) texts.push(message.text());
}
console.log(JSON.stringify({ origin, texts }));
`;

/** A package with the library for this platform, and the program beside it. */
class Workshop implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "basalt_compile_" });

  async fill(): Promise<void> {
    await publish(`${this.path}/package`);
    Deno.writeTextFileSync(`${this.path}/main.ts`, PROGRAM);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Tells why `deno compile` cannot be tried whole: it needs a runtime that it downloads once. */
function obstacle(): string | undefined {
  if (!ALL || !hasProgram("cargo")) return "needs cargo and all permissions";
  const dir = Deno.makeTempDirSync({ prefix: "basalt_compile_" });
  try {
    Deno.writeTextFileSync(`${dir}/main.ts`, "");
    const { success } = new Deno.Command("timeout", {
      args: ["60", Deno.execPath(), "compile", "-o", `${dir}/main`, "main.ts"],
      cwd: dir,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).outputSync();
    return success ? undefined : "the runtime of `deno compile` is not here";
  } catch (error) {
    return (error as Error).message;
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

const OBSTACLE = obstacle();
const FLAGS = ["--allow-ffi", "--allow-read=.", "--allow-write=data"];

Deno.test({
  name:
    `deno compile makes a program that works without network, caches and checkout${
      OBSTACLE === undefined ? "" : ` (skipped: ${OBSTACLE})`
    }`,
  ignore: OBSTACLE !== undefined,
  fn: async () => {
    using workshop = new Workshop();
    await workshop.fill();
    const [offline, ...rest] = await withoutCheckout({ network: false });
    const wrap = (command: string[]): [string, string[]] =>
      offline === undefined
        ? [command[0]!, command.slice(1)]
        : [offline, [...rest, ...command]];
    const compile = ["compile", "--cached-only", ...FLAGS];
    const output = ["-o", "program", "main.ts"];
    await run(...wrap([Deno.execPath(), ...compile, ...output]), {
      cwd: workshop.path,
    });
    Deno.removeSync(`${workshop.path}/package`, { recursive: true });
    Deno.removeSync(`${workshop.path}/main.ts`);
    const printed = await run(...wrap([`${workshop.path}/program`, "data"]), {
      cwd: workshop.path,
      clearEnv: true,
    });
    assertEquals(JSON.parse(printed), {
      origin: "memory",
      texts: ["one", "two"],
    });
  },
});

Deno.test({
  name:
    "deno compile puts the library for this platform into the program, without network and caches",
  ignore: !ALL || !hasProgram("cargo"),
  fn: async () => {
    using workshop = new Workshop();
    await workshop.fill();
    const target = Deno.build.target.replaceAll("-", "_");
    const embedded = `package/lib/native/embedded/${target}.ts`;
    const text = Deno.readTextFileSync(`${workshop.path}/${embedded}`);
    const gzip = /gzip:\s+"([^"]+)"/.exec(text)![1]!;
    // Any executable in the place of the runtime: what is added to it is looked at, not run.
    const runtime = Deno.execPath();
    const [command, ...args] = [
      ...await withoutCheckout({ network: false }),
      Deno.execPath(),
      "compile",
      "--cached-only",
      ...FLAGS,
      "-o",
      "program",
      "main.ts",
    ];
    const said = await run(command!, args, {
      cwd: workshop.path,
      env: { DENORT_BIN: runtime, DENO_DIR: `${workshop.path}/empty` },
    });
    assertStringIncludes(said, "Compile");
    const program = Deno.readFileSync(`${workshop.path}/program`);
    const wanted = new TextEncoder().encode(gzip.slice(0, 1000));
    const added = program.subarray(Deno.statSync(runtime).size - 4096);
    assert(includes(added, wanted), "the library is not in the program");
  },
});

function includes(bytes: Uint8Array, wanted: Uint8Array): boolean {
  for (let at = bytes.indexOf(wanted[0]!); at >= 0;) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return true;
    at = bytes.indexOf(wanted[0]!, at + 1);
  }
  return false;
}
