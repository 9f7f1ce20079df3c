/** Checks of a release that need no registry. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parse } from "@std/yaml";
import { obstacles, statedVersions } from "../../tools/release.ts";
import { hasProgram } from "../machine.ts";
import { ALL, FILES } from "../permissions.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Runs a task of the checkout. */
async function task(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", ...args],
    cwd: ROOT,
    stdin: "null",
    env: { NO_COLOR: "1" },
  }).output();
  const [out, errors] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  return `${code}: ${out}${errors}`;
}

Deno.test(
  "obstacles() finds none in this checkout, and each version that differs from a tag",
  {
    ignore: !FILES,
  },
  () => {
    assertEquals(obstacles(ROOT), []);
    const versions = statedVersions(ROOT);
    const version = versions["deno.json"]!;
    assertEquals(obstacles(ROOT, `v${version}`), []);
    assertEquals(
      obstacles(ROOT, "v9.9.9"),
      Object.keys(versions).map((path) =>
        `${path} states ${version}, not 9.9.9`
      ),
    );
  },
);

Deno.test(
  "obstacles() names the only file with another version, or without one",
  {
    ignore: !FILES,
  },
  () => {
    const paths = Object.keys(statedVersions(ROOT));
    assert(paths.length >= 6);
    const dir = Deno.makeTempDirSync();
    try {
      for (const changed of paths) {
        for (const path of paths) {
          const text = Deno.readTextFileSync(ROOT + path);
          Deno.mkdirSync(`${dir}/${path}/..`.replace(/[^/]*\/\.\.$/, ""), {
            recursive: true,
          });
          Deno.writeTextFileSync(
            `${dir}/${path}`,
            path === changed ? "" : text,
          );
        }
        const found = obstacles(`${dir}/`);
        if (changed !== "deno.json") assertEquals(found.length, 1, changed);
        assert(
          found.includes(
            `${changed} states no version, not ${
              changed === "deno.json"
                ? undefined
                : statedVersions(ROOT)["deno.json"]
            }`,
          ),
          `${changed}: ${found}`,
        );
      }
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, string>;
}

interface Job {
  needs?: string | string[];
  permissions?: Record<string, string>;
  strategy?: { matrix: { runner: string[] } };
  steps: Step[];
}

interface Workflow {
  on: { push: { tags: string[] } };
  env: Record<string, string>;
  permissions: Record<string, string>;
  jobs: Record<string, Job>;
}

function workflow(): Workflow {
  const path = `${ROOT}.github/workflows/release.yml`;
  return parse(Deno.readTextFileSync(path)) as Workflow;
}

/** Returns all jobs that a job waits for, directly or not. */
function before(jobs: Record<string, Job>, name: string): Set<string> {
  const found = new Set<string>();
  for (const needed of [jobs[name]!.needs ?? []].flat()) {
    assert(needed in jobs, `${name} needs ${needed}`);
    found.add(needed);
    for (const each of before(jobs, needed)) found.add(each);
  }
  return found;
}

Deno.test(
  "the release workflow publishes only what was built, checked and tested on both platforms",
  {
    ignore: !FILES,
  },
  () => {
    const { on, permissions, jobs } = workflow();
    assertEquals(on.push.tags, ["v*"]);
    assertEquals(permissions, { contents: "read" });
    const publishing = Object.entries(jobs)
      .filter(([, { steps }]) =>
        steps.some(({ run }) => run === "deno publish")
      );
    assertEquals(publishing.map(([name]) => name), ["publish"]);
    for (const [name, { permissions }] of Object.entries(jobs)) {
      // Provenance needs the identity of the workflow, which no other job gets.
      const expected = name === "publish" ? "write" : undefined;
      assertEquals(permissions?.["id-token"], expected, name);
    }
    assertEquals(
      [...before(jobs, "publish")].sort(),
      ["build", "check", "test"],
    );
    const { runner } = jobs["test"]!.strategy!.matrix;
    assertEquals(runner.length, 2);
    assert(runner.some((name) => name.endsWith("-arm")));
    const artifacts = Object.values(jobs).flatMap(({ steps }) => steps)
      .filter(({ uses }) => uses?.includes("-artifact@"));
    assertEquals(artifacts.length, 3);
    for (const { with: inputs } of artifacts) {
      assertEquals(
        [inputs?.["name"], inputs?.["path"]],
        ["embedded", "lib/native/embedded"],
      );
    }
  },
);

Deno.test("the release workflow uses existing tasks and versions", {
  ignore: !FILES,
}, () => {
  const { jobs, env } = workflow();
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const steps = Object.values(jobs).flatMap(({ steps }) => steps);
  const commands = steps.flatMap(({ run }) => run ?? []);
  const used = commands.flatMap((command) =>
    /^deno task (\S+)/.exec(command)?.[1] ?? []
  );
  assertEquals(used.sort(), ["embed", "release", "release"]);
  for (const name of used) assert(name in tasks, name);
  const ci = Deno.readTextFileSync(`${ROOT}.ci/run`);
  assertStringIncludes(ci, `deno@${env["DENO_VERSION"]!.slice(1)} `);
  assert(commands.some((command) => command.endsWith(" .ci/run")));
  const zig = /cargo-zigbuild==[\d.]+/;
  const stated = zig.exec(Deno.readTextFileSync(`${ROOT}docs/library.md`))![0];
  assert(commands.some((command) => command.includes(stated)));
  const embed = Deno.readTextFileSync(`${ROOT}tools/embed.ts`);
  assertStringIncludes(embed, stated);
  for (const target of embed.match(/\w+-unknown-linux-gnu/g)!) {
    assert(commands.some((command) => command.includes(target)), target);
  }
});

Deno.test(
  "deno task release test runs tests with the embedded library, and fails without one",
  {
    ignore: !ALL || !hasProgram("cargo"),
  },
  async () => {
    assertStringIncludes(await task("release", "check"), "0: version ");
    const refused = await task("release", "check", "--tag", "v9.9.9");
    assertStringIncludes(refused, "1: ");
    assertStringIncludes(refused, "deno.json states ");
    const embedded = await task("embed", Deno.build.target);
    assert(embedded.startsWith("0: "), embedded);
    const tested = await task("release", "test", "tests/pool/options_test.ts");
    assert(tested.startsWith("0: "), tested);
    assert(/the library comes from: (cache|memory)\n/.test(tested), tested);
    assert(/ok \| [1-9]\d* passed/.test(tested), tested);
    Deno.removeSync(`${ROOT}lib/native/embedded`, { recursive: true });
    const failed = await task("release", "test", "tests/pool/options_test.ts");
    assert(failed.startsWith("1: "), failed);
    assertStringIncludes(failed, "lib/native/embedded/mod.ts");
  },
);
