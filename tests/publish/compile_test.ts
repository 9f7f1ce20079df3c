/** `deno compile` of a program with Basalt. */
import { assert, assertEquals } from "@std/assert";
import { hasProgram } from "../machine.ts";
import { ALL } from "../permissions.ts";
import { publish, run, withoutCheckout } from "./_support.ts";

/** Appends, reads back, and reports where the library came from. */
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

/** The output of the program in an empty directory. */
const PRINTED = { origin: "memory", texts: ["one", "two"] };

/** A package with the library for this platform, and the program beside it. */
class Workshop implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "basalt_compile_" });

  async fill(): Promise<void> {
    await publish(`${this.path}/package`);
    Deno.writeTextFileSync(`${this.path}/main.ts`, PROGRAM);
  }

  /** Runs a command without network and checkout and, if `env` is given, in that environment. */
  async offline(
    command: string[],
    env: Record<string, string> | undefined,
  ): Promise<string> {
    const hidden = await withoutCheckout({ network: false });
    const [program, ...args] = [...hidden, ...command];
    return await run(program!, args, {
      cwd: this.path,
      ...env === undefined ? {} : { clearEnv: true, env },
    });
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Returns why `deno compile` cannot be tried: it downloads a runtime at its first use. */
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
    const compile = ["compile", "--cached-only", ...FLAGS, "-o", "program"];
    await workshop.offline([Deno.execPath(), ...compile, "main.ts"], undefined);
    Deno.removeSync(`${workshop.path}/package`, { recursive: true });
    Deno.removeSync(`${workshop.path}/main.ts`);
    const program = `${workshop.path}/program`;
    const printed = await workshop.offline([program, "data"], {});
    assertEquals(JSON.parse(printed), PRINTED);
  },
});

Deno.test({
  name:
    "a program with the package imports nothing remote, and works and compiles without network and caches",
  ignore: !ALL || !hasProgram("cargo"),
  fn: async (t) => {
    using workshop = new Workshop();
    await workshop.fill();
    const deno = (env: Record<string, string>, ...args: string[]) =>
      workshop.offline([Deno.execPath(), ...args], {
        DENO_DIR: `${workshop.path}/empty`,
        ...env,
      });
    const target = Deno.build.target.replaceAll("-", "_");
    const embedded = `package/lib/native/embedded/${target}.ts`;

    await t.step("its modules are files of the package", async () => {
      const { modules } = JSON.parse(
        await deno({}, "info", "--json", "main.ts"),
      );
      const specifiers = (modules as { specifier: string }[])
        .map(({ specifier }) => specifier);
      assert(specifiers.includes(`file://${workshop.path}/${embedded}`));
      const remote = specifiers.filter((each) => !/^(file|node):/.test(each));
      assertEquals(remote, []);
    });

    await t.step("it runs, with the library from memory", async () => {
      const args = ["run", "--cached-only", ...FLAGS, "main.ts", "data"];
      assertEquals(JSON.parse(await deno({}, ...args)), PRINTED);
    });

    await t.step("deno compile puts the library into it", async () => {
      // Any executable can replace the runtime, because the program is not run.
      const runtime = Deno.execPath();
      const args = ["compile", "--cached-only", ...FLAGS, "-o", "program"];
      await deno({ DENORT_BIN: runtime }, ...args, "main.ts");
      const program = Deno.readFileSync(`${workshop.path}/program`);
      const text = Deno.readTextFileSync(`${workshop.path}/${embedded}`);
      const gzip = /gzip:\s+"([^"]+)"/.exec(text)![1]!;
      const wanted = new TextEncoder().encode(gzip.slice(0, 1000));
      const added = program.subarray(Deno.statSync(runtime).size - 4096);
      assert(includes(added, wanted), "the library is not in the program");
    });
  },
});

function includes(bytes: Uint8Array, wanted: Uint8Array): boolean {
  for (let at = bytes.indexOf(wanted[0]!); at >= 0;) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return true;
    at = bytes.indexOf(wanted[0]!, at + 1);
  }
  return false;
}
