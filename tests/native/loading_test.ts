import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { abiNumber } from "../../lib/native/symbols.ts";
import { VERSION } from "../../lib/native/version.ts";
import { ALL } from "../permissions.ts";
import {
  compile,
  copyPackage,
  LIBRARY,
  load,
  ROOT,
  Scratch,
  type WorkerOutcome,
} from "./_support.ts";

const BUILD = "cargo build --release --locked --manifest-path rust/Cargo.toml";

/** What a worker reports that uses the library of its process, with the first pool in it. */
const SHARED = { origin: "process", limitBytes: 4096, id: 1 };

/** It is read where the tests may read. */
const library = ALL ? Deno.readFileSync(LIBRARY) : new Uint8Array();

function test(name: string, fn: (dir: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: !ALL,
    fn: async () => {
      using scratch = new Scratch();
      await fn(scratch.path);
    },
  });
}

test("loadLibrary() refuses an unsuitable library with its version and the needed one, and can load another one then", async (dir) => {
  const abi = (number: number) =>
    `#[unsafe(no_mangle)] pub extern "C" fn basalt_abi() -> i32 { ${number} }`;
  const [older, part, cut, text] = ["older.so", "part.so", "cut.so", "text.so"]
    .map((name) => `${dir}/${name}`) as [string, string, string, string];
  await compile(abi(1), older);
  await compile(abi(abiNumber()), part);
  Deno.writeFileSync(cut, library.subarray(0, 40));
  Deno.writeTextFileSync(text, "no library\n".repeat(100));
  const cases: [path: string, found: RegExp][] = [
    ["libc.so.6", /No such file|no such file/],
    [libc(), /^it is not Basalt's library: it does not export basalt_abi$/],
    [older, /^it is of another version: its ABI number is 1, not \d+$/],
    [part, /^it is incomplete: .*undefined symbol: basalt_/],
    [cut, /^the loader refuses it: .*cut\.so/],
    [text, /^the loader refuses it: .*invalid ELF header/],
    [dir, /^the loader refuses it: .*(directory|read)/],
    [`${dir}/none.so`, /^no such file$/],
  ];
  const paths = [...cases.map(([path]) => path), LIBRARY, null, older];
  const outcomes = await load(ROOT.slice(0, -1), { paths });
  for (const [i, [path, found]] of cases.entries()) {
    const { error, ...outcome } = outcomes[i]!;
    assertEquals(error, "UnsupportedError", path);
    assert(found.test(outcome.found!), `${path}: ${outcome.found}`);
    assertStringIncludes(outcome.message!, path);
    assertStringIncludes(outcome.needed!, BUILD);
  }
  const loaded = { origin: "option", file: LIBRARY };
  assertEquals(outcomes.slice(-3, -1), [loaded, loaded]);
  assertEquals(outcomes.at(-1)!.found, `'${LIBRARY}', loaded before`);
});

test("BASALT_LIBRARY is used exclusively where the variable may be read", async (dir) => {
  copyPackage(dir, library);
  const text = `${dir}/text.so`;
  Deno.writeTextFileSync(text, "no library");
  const flags = ["--allow-ffi", "--allow-env=BASALT_LIBRARY"];
  const env = { BASALT_LIBRARY: LIBRARY };
  assertEquals(await load(dir, { flags, env }), [{
    origin: "environment",
    file: LIBRARY,
  }]);
  const [unread] = await load(dir, { env: { BASALT_LIBRARY: text } });
  assertEquals(unread!.origin, "memory");
  const [wrong] = await load(dir, { flags, env: { BASALT_LIBRARY: text } });
  assertEquals(wrong!.error, "UnsupportedError");
  assertStringIncludes(wrong!.message!, `'${text}' (BASALT_LIBRARY)`);
});

test("loadLibrary() without any library names the platform, each place and the command", async (dir) => {
  copyPackage(dir);
  const [outcome] = await load(dir);
  const { error, found, needed, tried } = outcome!;
  assertEquals([error, found], [
    "UnsupportedError",
    `none for ${Deno.build.target}`,
  ]);
  assertStringIncludes(needed!, BUILD);
  assertEquals(tried, [
    "BASALT_LIBRARY: not set, or not permitted to be read",
    `${dir}/rust/target/release/libbasalt.so: no such file`,
    `the package: it holds no library for ${Deno.build.target}`,
  ]);
});

test("loadLibrary() fails if a build beside the module is unsuitable, and does not look elsewhere", async (dir) => {
  copyPackage(dir, library);
  Deno.mkdirSync(`${dir}/rust/target/release`, { recursive: true });
  const build = `${dir}/rust/target/release/libbasalt.so`;
  Deno.writeTextFileSync(build, "no library");
  const [outcome] = await load(dir);
  assertEquals(outcome!.error, "UnsupportedError");
  assertStringIncludes(outcome!.message!, build);
  Deno.copyFileSync(LIBRARY, build);
  assertEquals(await load(dir), [{ origin: "build", file: build }]);
});

test("loadLibrary() on other platforms reports what is needed at the first use, and importing works", async () => {
  const others: Partial<typeof Deno.build>[] = [
    { os: "windows", target: "x86_64-pc-windows-msvc" },
    { os: "darwin", target: "aarch64-apple-darwin" },
    { env: "musl", target: "x86_64-unknown-linux-musl" },
    {
      arch: "riscv64" as "x86_64",
      target: "riscv64gc-unknown-linux-gnu" as "x86_64-unknown-linux-gnu",
    },
  ];
  for (const build of others) {
    const [outcome] = await load(ROOT.slice(0, -1), { build });
    const { error, found, needed } = outcome!;
    assertEquals([error, found], ["UnsupportedError", build.target]);
    assertStringIncludes(needed!, "Linux with glibc 2.27");
  }
});

test("loadLibrary() without --allow-ffi, or with a list of paths, reports that it is needed, and does not prompt", async () => {
  for (const flags of [[], [`--allow-ffi=${LIBRARY}`]]) {
    const [outcome] = await load(ROOT.slice(0, -1), { flags });
    assertEquals(outcome!.error, "NotCapable");
    assertStringIncludes(outcome!.message!, "--allow-ffi, without a list");
  }
});

test("loadLibrary() of a value that is not a path is a TypeError", async () => {
  const outcomes = await load(ROOT.slice(0, -1), {
    paths: ["", "a\0b", 5 as unknown as string],
  });
  for (const { error, message } of outcomes) {
    assertEquals(error, "TypeError");
    assertStringIncludes(message!, "'path' must be a path to a file");
  }
});

test("loadLibrary() unpacks the embedded copy into the private cache, or into memory where that fails; a worker gets the same library", async (dir) => {
  const root = `${dir}/package`;
  copyPackage(root, library);
  const home = `${dir}/home`;
  Deno.mkdirSync(home);
  const cache = `${home}/.cache/basalt`;
  const flags = [
    "--allow-ffi",
    "--allow-env=HOME,XDG_CACHE_HOME",
    `--allow-write=${dir}`,
  ];
  const start = async (env: Record<string, string>, flagged = flags) => {
    const read = flagged === flags ? [dir] : [];
    const [outcome] = await load(root, {
      flags: flagged,
      read,
      env,
      worker: true,
    });
    assertEquals(outcome!.worker, SHARED);
    return outcome!;
  };
  for (let i = 0; i < 2; i++) {
    const { origin, file } = await start({ HOME: home });
    assertEquals(origin, "cache");
    assertStringIncludes(file!, `${cache}/libbasalt-`);
  }
  const elsewhere = await start({ HOME: home, XDG_CACHE_HOME: `${dir}/xdg` });
  assertStringIncludes(elsewhere.file!, `${dir}/xdg/basalt/libbasalt-`);
  const soname = `libbasalt-${VERSION}.so`;
  const memory = { origin: "memory", file: soname, worker: SHARED };
  assertEquals(await start({ HOME: home }, ["--allow-ffi"]), memory);
  assertEquals(await start({ XDG_CACHE_HOME: "relative" }), memory);
  Deno.chmodSync(cache, 0o755);
  assertEquals(await start({ HOME: home }), memory);
});

test("loadLibrary() of the embedded copy in several workers at once loads one library", async (dir) => {
  copyPackage(dir, library);
  const [{ raced }] = await load(dir, { paths: [], race: 3 }) as [
    { raced: WorkerOutcome[] },
  ];
  // Each made a pool. With two libraries, two pools would have the same number.
  assertEquals(raced.map(({ id }) => id).sort(), [1, 2, 3]);
});

test("loadLibrary() refuses an embedded copy that is damaged or of another version, with the reason for each place", async (dir) => {
  const other = await compile(
    `#[unsafe(no_mangle)] pub extern "C" fn basalt_abi() -> i32 { 1 }`,
    `${dir}/other.so`,
  );
  const root = `${dir}/package`;
  copyPackage(root, Deno.readFileSync(other));
  const [outcome] = await load(root);
  const { error, tried } = outcome!;
  assertEquals(error, "UnsupportedError");
  assertStringIncludes(tried!.at(-1)!, "its ABI number is 1, not");

  const module = [...Deno.readDirSync(`${root}/lib/native/embedded`)][0]!;
  const path = `${root}/lib/native/embedded/${module.name}`;
  const text = Deno.readTextFileSync(path);
  Deno.writeTextFileSync(
    path,
    text.replace(/sha256: ".{8}/, 'sha256: "00000000'),
  );
  const [damaged] = await load(root);
  assertStringIncludes(damaged!.tried!.at(-1)!, "its SHA-256 is another");
});

/** The C library of this machine: a real library, but not ours. */
function libc(): string {
  const names = ["x86_64", "aarch64"].map((arch) =>
    `/lib/${arch}-linux-gnu/libc.so.6`
  );
  return [...names, "/lib64/libc.so.6"].find((name) => {
    try {
      return Deno.statSync(name).isFile;
    } catch {
      return false;
    }
  })!;
}
