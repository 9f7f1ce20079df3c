/**
 * Every public call that takes a path permits and refuses the same as Deno's own functions,
 * whatever permission is missing. A refused call changes nothing.
 */
import { assert, assertEquals } from "@std/assert";
import { Log, planRepairSync } from "../../lib/log/mod.ts";
import { dataDirectory, writeFiles } from "../iggy/_data_directory.ts";
import { testPool } from "../log/_support.ts";
import { ALL } from "../permissions.ts";
import { runScript } from "../storage/_subprocess.ts";
import { TemporaryDirectory } from "../storage/_tiers.ts";
import type { Answer } from "./permission_table_child.ts";

/** The trees of the script. */
const TREES = ["deno", "free", "kept"];
/** Minimum number of calls in the table, and of refused ones. */
const LEAST_CALLS = 7600;
const LEAST_REFUSED = 4700;

/** Runs a command without a umask. */
const NO_UMASK = ["sh", "-c", 'umask 0; exec "$@"', "sh"];

/**
 * Makes files, logs and a server's data directory, and links between what a process may access
 * (`in`) and what it may not.
 */
function makeTree(tree: string): void {
  const pool = testPool();
  for (const [here, there] of [["in", "out"], ["out", "in"]] as const) {
    const dir = `${tree}/${here}`;
    Deno.mkdirSync(dir, { recursive: true });
    Deno.writeFileSync(`${dir}/file`, new Uint8Array(4096).fill(7));
    Deno.symlinkSync("file", `${dir}/link`);
    Deno.symlinkSync(`../${there}/file`, `${dir}/crossing`);
    Deno.symlinkSync("nowhere", `${dir}/dangling`);
    Deno.symlinkSync("/proc/self/environ", `${dir}/proc`);
    for (const name of ["log", "broken", "broken too"]) {
      using log = Log.openSync(`${dir}/${name}`, { pool, prepareBytes: 0 });
      for (let i = 0; i < 5; i++) log.append(`message ${i}`);
    }
    for (const name of ["broken", "broken too"]) {
      const path = `${dir}/${name}/00000000000000000000.log`;
      const bytes = Deno.readFileSync(path);
      bytes.set([0], bytes.length - 1);
      Deno.writeFileSync(path, bytes);
    }
    Deno.symlinkSync("log", `${dir}/log link`);
    Deno.symlinkSync(`../${there}/log`, `${dir}/log crossing`);
    writeFiles(`${dir}/iggy`, dataDirectory());
  }
  pool.close();
}

/** Copies a directory, with links as links. */
async function copy(from: string, to: string): Promise<void> {
  const { success } = await new Deno.Command("cp", { args: ["-a", from, to] })
    .output();
  assert(success);
}

/** Lists everything below a directory: names, types, sizes, modes, times and contents. */
function snapshot(dir: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const look = (path: string): void => {
    const stat = Deno.lstatSync(path);
    const { ino, size, mode, nlink, mtime, isFile, isDirectory } = stat;
    const content = isFile ? Deno.readFileSync(path).toBase64() : undefined;
    found[path] = {
      ...{ ino, size, mode, nlink, content },
      mtime: mtime?.getTime(),
      ctime: stat.ctime?.getTime(),
    };
    if (!isDirectory) return;
    for (const { name } of Deno.readDirSync(path)) look(`${path}/${name}`);
  };
  look(dir);
  return found;
}

/** Flags, in which `IN` and `OUT` stand for these directories in all trees. */
const PERMISSIONS: string[][] = [
  ["--allow-ffi", "--allow-read", "--allow-write"],
  ["--allow-ffi", "--allow-write"],
  ["--allow-ffi", "--allow-read"],
  ["--allow-ffi"],
  ["--allow-read", "--allow-write"],
  ["--allow-ffi=IN", "--allow-read=IN", "--allow-write=IN"],
  ["--allow-ffi", "--allow-read=IN", "--allow-write=IN"],
  ["--allow-ffi", "--allow-read", "--allow-write=IN"],
  ["--allow-ffi", "--allow-read=IN", "--allow-write"],
  [
    "--allow-ffi",
    "--allow-read",
    "--allow-write",
    "--deny-read=OUT",
    "--deny-write=OUT",
  ],
];

/** Describes what is wrong with a result, or returns `""`. */
function wrong(
  { call, paths, deno, basalt, exact, ...answer }: Answer,
  ffi: boolean,
): string {
  const shown = `${call} of ${paths.join(", ")}: ${JSON.stringify(basalt)}`;
  if (answer.ffi && !ffi && deno.error !== "NotCapable") {
    // A missing file is noticed before the library is needed.
    if (basalt.error === "NotFound" && deno.error === "NotFound") return "";
    const named = basalt.message?.includes("--allow-ffi") ?? false;
    return basalt.error === "NotCapable" && named
      ? ""
      : `${shown}, without --allow-ffi`;
  }
  const besides = `${shown}, and Deno ${JSON.stringify(deno)}`;
  if (basalt.error !== deno.error) return besides;
  if (deno.error !== "NotCapable" || answer.ffi && !ffi) return "";
  if (exact) return basalt.message === deno.message ? "" : besides;
  const named = /^Requires (?:read|write) access to "(TREE[^"]*)", run again/
    .exec(basalt.message!)?.[1];
  const known = paths.some((path) =>
    `TREE/${path}`.startsWith(named!) || named?.startsWith(`TREE/${path}`)
  );
  return known ? "" : besides;
}

Deno.test({
  name:
    "every call that takes a path permits the same as Deno with each permission missing; a refused call changes nothing; logs are 0640",
  ignore: !ALL,
  fn: async (t) => {
    using dir = new TemporaryDirectory();
    let [calls, refused] = [0, 0];
    const run = async (flags: string[], root: string): Promise<void> => {
      await copy(template, root);
      const before = snapshot(`${root}/kept`);
      const broken = `${root}/kept/in/broken`;
      const plan = JSON.stringify(planRepairSync(broken))
        .replaceAll(broken, "BROKEN");
      const list = (...names: string[]) =>
        TREES.flatMap((tree) => names.map((name) => `${root}/${tree}/${name}`))
          .join(",");
      const answers = await runScript(
        new URL("permission_table_child.ts", import.meta.url),
        [
          "--no-check",
          ...flags.map((flag) =>
            flag.replace("IN", list("in", "fresh")).replace("OUT", list("out"))
          ),
        ],
        [root, plan],
        NO_UMASK,
      ) as Answer[];
      const ffi = flags.includes("--allow-ffi");
      await t.step({
        name: flags.join(" "),
        sanitizeOps: false,
        sanitizeResources: false,
        fn: () => {
          assertEquals(
            answers.map((each) => wrong(each, ffi)).filter((each) => each),
            [],
          );
          const after = snapshot(`${root}/kept`);
          for (const [path, state] of Object.entries(after)) {
            assertEquals(state, before[path], path);
          }
          assertEquals(Object.keys(after), Object.keys(before));
        },
      });
      calls += answers.length;
      refused += answers.filter(({ basalt }) =>
        basalt.error === "NotCapable"
      ).length;
    };
    const template = dir.file("template");
    const [first, ...others] = TREES.map((tree) => `${template}/${tree}`);
    makeTree(first!);
    for (const other of others) await copy(first!, other);
    const left = PERMISSIONS.map((flags, i) => [flags, dir.file(String(i))]);
    const worker = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        await run(next[0] as string[], next[1] as string);
      }
    };
    await Promise.all([worker(), worker()]);
    console.log(`${calls} calls, ${refused} of them refused`);
    assert(calls >= LEAST_CALLS && refused >= LEAST_REFUSED);
  },
});
