/**
 * `deno task release`: checks of a release, besides `deno task embed` and `deno publish`.
 *
 * - `check` compares all stated versions with each other, and with a tag.
 * - `test` runs tests of the package as it would be published: its files and the embedded library,
 *   in a directory without a build of the library.
 *
 * `.github/workflows/release.yml` runs both before it publishes.
 */
import { Command } from "commander";
import { ROOT, run } from "./run.ts";

/** Tests that need nothing but the package, the runtime and a disk. */
const TESTS: readonly string[] = [
  "codec",
  "pool",
  "engine",
  "storage",
  "segment",
  "log",
  "iggy",
  "ship",
];
/** Files that they need besides the published ones. */
const NEEDED: readonly string[] = ["deno.json", "deno.lock", "tests", "tools"];

/** The files that state the version, and the pattern that finds it. */
const STATED: Readonly<Record<string, RegExp>> = {
  "deno.json": /"version": "([^"]+)"/,
  "lib/native/version.ts": /VERSION = "([^"]+)"/,
  "rust/Cargo.toml": /^version = "([^"]+)"/m,
  "rust/Cargo.lock": /name = "basalt"\nversion = "([^"]+)"/,
  "rust/fuzz/Cargo.lock": /name = "basalt"\nversion = "([^"]+)"/,
  "CHANGELOG.md": /^## (\S+)/m,
};

/** Returns the version that each file of a checkout states, or `undefined` where there is none. */
export function statedVersions(
  root: string,
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(STATED).map(([path, pattern]) => [
      path,
      pattern.exec(Deno.readTextFileSync(root + path))?.[1],
    ]),
  );
}

/**
 * Returns a description of each obstacle to a release of a checkout.
 *
 * @param tag The tag of the release, such as `v1.2.3`.
 */
export function obstacles(root: string, tag?: string): string[] {
  const versions = statedVersions(root);
  const expected = tag === undefined
    ? versions["deno.json"]
    : tag.replace(/^v/, "");
  return Object.entries(versions)
    .filter(([, version]) => version === undefined || version !== expected)
    .map(([path, version]) =>
      `${path} states ${version ?? "no version"}, not ${expected}`
    );
}

/** Returns the names of the files that `deno publish` would publish. */
export async function publishedNames(): Promise<string[]> {
  const { code, output } = await run(Deno.execPath(), [
    "publish",
    "--dry-run",
    "--allow-dirty",
    "--no-check",
  ], { quiet: true });
  if (code !== 0) throw new Error(`Cannot list the package's files: ${output}`);
  return [...output.matchAll(/^ +(file:\S+) \(/gm)].map(([, url]) =>
    decodeURIComponent(new URL(url!).pathname).slice(ROOT.length)
  );
}

/** Copies a file of the checkout, or all files of a directory, to the same place elsewhere. */
export function copy(name: string, to: string): void {
  const from = ROOT + name;
  if (!Deno.statSync(from).isDirectory) {
    const path = `${to}/${name}`;
    Deno.mkdirSync(path.replace(/\/[^/]*$/, ""), { recursive: true });
    return Deno.copyFileSync(from, path);
  }
  for (const entry of Deno.readDirSync(from)) copy(`${name}/${entry.name}`, to);
}

/** Prints where the library of a package comes from. */
const ORIGIN = `import { loadLibrary } from "./mod.ts";
const { origin } = loadLibrary();
console.log(\`the library comes from: \${origin}\`);
if (origin !== "cache" && origin !== "memory") Deno.exit(1);
`;

/** Runs tests of the package with its own files and library. Returns an exit code. */
async function testPackage(paths: readonly string[]): Promise<number> {
  const to = Deno.makeTempDirSync({ prefix: "basalt_release_" });
  try {
    for (const name of [...await publishedNames(), ...NEEDED]) copy(name, to);
    Deno.writeTextFileSync(`${to}/origin.ts`, ORIGIN);
    const options = { cwd: to };
    const all = ["--quiet", "--allow-all"];
    const origin = await run(
      Deno.execPath(),
      ["run", ...all, "origin.ts"],
      options,
    );
    if (origin.code !== 0) return origin.code;
    const preload = "--preload=tests/preload.ts";
    const { code } = await run(
      Deno.execPath(),
      ["test", ...all, preload, ...paths],
      options,
    );
    return code;
  } finally {
    Deno.removeSync(to, { recursive: true });
  }
}

async function main(args: readonly string[]): Promise<number> {
  let code = 0;
  const program = new Command("release")
    .description("Check what a release needs.")
    .exitOverride(({ exitCode }) => Deno.exit(exitCode === 0 ? 0 : 2));
  program.command("check")
    .description("compare the version wherever it is stated")
    .option("--tag <tag>", "the tag of the release")
    .action(({ tag }: { tag?: string }) => {
      const found = obstacles(ROOT, tag);
      for (const text of found) console.error(text);
      if (found.length > 0) code = 1;
      else console.log(`version ${statedVersions(ROOT)["deno.json"]}`);
    });
  program.command("test")
    .description("test the package's files with the library embedded in them")
    .argument("[path...]", "tests", TESTS.map((name) => `tests/${name}`))
    .action(async (paths: string[]) => {
      code = await testPackage(paths);
    });
  await program.parseAsync([...args], { from: "user" });
  return code;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
