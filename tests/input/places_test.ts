/**
 * Paths where no log can be, and missing permissions: a typed error names the path, and nothing is
 * changed.
 */
import {
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
} from "@std/assert";
import { Log, LogReader } from "../../lib/log/mod.ts";
import { ALL } from "../permissions.ts";
import { payload, testPool } from "../log/_support.ts";
import { runScript } from "../storage/_subprocess.ts";
import { TemporaryDirectory } from "../storage/_tiers.ts";

/**
 * Paths below a directory (or absolute ones), with the class of the error when a log is opened
 * there, and when one is read.
 */
const PLACES: [
  path: string,
  opening: new (message: string) => Error,
  reading: new (message: string) => Error,
  code: string,
][] = [
  ["file", Deno.errors.NotADirectory, Deno.errors.NotADirectory, "ENOTDIR"],
  [
    "file/below",
    Deno.errors.NotADirectory,
    Deno.errors.NotADirectory,
    "ENOTDIR",
  ],
  [
    "/dev/null",
    Deno.errors.NotADirectory,
    Deno.errors.NotADirectory,
    "ENOTDIR",
  ],
  ["fifo", Deno.errors.NotADirectory, Deno.errors.NotADirectory, "ENOTDIR"],
  ["loop", Deno.errors.FilesystemLoop, Deno.errors.FilesystemLoop, "ELOOP"],
  ["dangling/log", Deno.errors.NotFound, Deno.errors.NotFound, "ENOENT"],
  ["x".repeat(256), Error, Error, "ENAMETOOLONG"],
  ["/proc/log", Deno.errors.NotFound, Deno.errors.NotFound, "ENOENT"],
];

Deno.test({
  name:
    "Log.open() in an impossible place is the system's error with class, code, call and path, and creates nothing",
  ignore: !ALL,
  fn: async (t) => {
    using dir = new TemporaryDirectory();
    const pool = testPool();
    Deno.writeTextFileSync(dir.file("file"), "text");
    Deno.symlinkSync(dir.file("loop"), dir.file("loop"));
    Deno.symlinkSync(dir.file("nowhere"), dir.file("dangling"));
    await new Deno.Command("mkfifo", { args: [dir.file("fifo")] }).output();
    const names = (): string[] =>
      [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort();
    const before = names();
    for (const [name, opening, reading, code] of PLACES) {
      const path = name.startsWith("/") ? name : dir.file(name);
      const calls: [string, () => unknown, typeof opening][] = [
        ["Log.open", () => Log.open(path, { pool }), opening],
        ["Log.openSync", () => Log.openSync(path, { pool }), opening],
        [
          "LogReader.read",
          () => new LogReader(path, { pool }).read().next(),
          reading,
        ],
        [
          "LogReader.readSync",
          () => new LogReader(path, { pool }).readSync().next(),
          reading,
        ],
      ];
      for (const [call, run, error] of calls) {
        await t.step(`${call} ${name.slice(0, 20)}`, async () => {
          let thrown: unknown;
          try {
            await run();
          } catch (error) {
            thrown = error;
          }
          assertInstanceOf(thrown, error, String(thrown));
          const fields = thrown as Error & { code: string; path: string };
          if (error === opening) assertEquals(fields.code, code);
          assertStringIncludes(fields.path, name.split("/")[0]!);
          assertStringIncludes(fields.message, `'${fields.path}'`);
        });
      }
    }
    assertEquals(names(), before);
    assertEquals(Deno.readTextFileSync(dir.file("file")), "text");
    pool.close();
  },
});

Deno.test({
  name:
    "Log with each permission missing is NotCapable with the name of the flag; reading needs no permission to write",
  ignore: !ALL,
  fn: async (t) => {
    using dir = new TemporaryDirectory();
    const path = dir.file("log");
    const pool = testPool();
    {
      using log = Log.openSync(path, { pool, prepareBytes: 0 });
      for (let i = 0; i < 10; i++) log.append(payload(i, 100));
    }
    pool.close();
    const bytes = Deno.readFileSync(`${path}/00000000000000000000.log`);
    const [ffi, read, write] = [
      "--allow-ffi",
      `--allow-read=${path}`,
      `--allow-write=${path}`,
    ];
    const module = new URL("../../", import.meta.url).pathname;
    // The library beside the module is found without a permission to read it.
    const cases: [string[], unknown, unknown][] = [
      [[ffi!, read!, write!], 10, 10],
      [[ffi!, read!], "--allow-write", 10],
      [[ffi!, write!], "--allow-read", "--allow-read"],
      [[read!, write!], "--allow-ffi", "--allow-ffi"],
      [[`${ffi}=${module}`, read!, write!], "--allow-ffi", "--allow-ffi"],
      [[], "--allow-ffi", "--allow-ffi"],
    ];
    for (const [flags, writing, reading] of cases) {
      const shown = flags.join(" ").replaceAll(dir.path, "DIR").replaceAll(
        module,
        "MODULE",
      );
      await t.step(shown || "none", async () => {
        const result = await runScript(
          new URL("permission_child.ts", import.meta.url),
          ["--no-check", ...flags],
          [path],
        ) as Record<string, number | { name: string; message: string }>;
        for (
          const [what, expected] of [
            ["write", writing],
            ["writeSync", writing],
            ["read", reading],
          ] as [string, unknown][]
        ) {
          const found = result[what]!;
          if (typeof found === "number") assertEquals(found, expected, what);
          else {
            assertEquals(found.name, "NotCapable", found.message);
            assertStringIncludes(found.message, String(expected));
          }
        }
      });
    }
    assertEquals(Deno.readFileSync(`${path}/00000000000000000000.log`), bytes);
    assertEquals([...Deno.readDirSync(path)].length, 3);
  },
});
