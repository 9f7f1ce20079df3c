/**
 * `deno task test`: every check of the project, in parts, with the time that each took, and one
 * closing line for all of them.
 *
 * Arguments are names of parts; without any, all run but those that take long: `--long` runs these,
 * and only them.
 */
import { Command } from "commander";
import { checkInstructions, instructionsObstacle } from "./instructions.ts";
import {
  available,
  cargoCounts,
  type Counts,
  denoCounts,
  type Finished,
  ROOT,
  run,
  testsOf,
  verdict,
} from "./run.ts";

/** A part of the run. */
interface Part {
  name: string;
  /** Whether it takes too long to be run each time. */
  long?: true;
  /**
   * Whether it runs beside the parts behind it: one that computes for minutes and measures no time.
   */
  aside?: true;
  run(): Promise<Counts>;
}

const DENO = Deno.execPath();
const MANIFEST = ["--manifest-path", "rust/Cargo.toml", "--locked"];
const PRELOAD = "--preload=tests/preload.ts";
/** The tests of TypeScript that ran with all permissions, by name: whether they were ignored. */
const tests = new Map<string, boolean>();

async function cargo(
  args: string[],
  options?: { env?: Record<string, string>; toolchain?: string },
): Promise<Finished> {
  const [verb, ...rest] = args;
  const toolchain = options?.toolchain === undefined
    ? []
    : [`+${options.toolchain}`];
  return await run(
    "cargo",
    [...toolchain, verb!, ...MANIFEST, ...rest],
    options?.env === undefined ? {} : { env: options.env },
  );
}

/** Runs tests; `aside` shows their output when they are over. */
async function denoTest(
  args: string[],
  { env = {}, aside = false }: {
    env?: Record<string, string>;
    aside?: boolean;
  } = {},
): Promise<Counts> {
  const all = args.includes("--allow-all");
  const preload = all ? [PRELOAD] : [];
  const finished = await run(DENO, ["test", ...preload, ...args], {
    env,
    quiet: aside,
  });
  if (aside) console.log(`\n=== ran aside\n${finished.output}`);
  if (all) {
    for (const [name, ignored] of testsOf(finished)) tests.set(name, ignored);
  }
  return denoCounts(finished);
}

/** What touches files, once more on an engine that is not the one chosen here. */
function engineTest(kind: string): Promise<Counts> {
  const tests = [
    "tests/engine/engine_test.ts",
    "tests/engine/life_test.ts",
    "tests/engine/transfer_test.ts",
    "tests/storage/batch_test.ts",
    "tests/storage/direct_file_model_test.ts",
    "tests/storage/direct_file_test.ts",
    "tests/storage/disk_storage_test.ts",
    "tests/conformance",
    "tests/segment/segment_writer_test.ts",
    "tests/log/api_test.ts",
  ];
  return denoTest(["--allow-all", ...tests], {
    env: { BASALT_ENGINE: kind },
  });
}

function skipped(reason: string): Counts {
  console.log(`skipped: ${reason}`);
  return { passed: 0, failed: 0, skipped: 1 };
}

const PARTS: Part[] = [
  {
    name: "build",
    run: async () => verdict(await cargo(["build", "--release"])),
  },
  {
    name: "build-guard",
    run: async () =>
      verdict(
        await cargo([
          "build",
          "--release",
          "--features",
          "guard",
          "--target-dir",
          "rust/target/guard",
        ]),
      ),
  },
  {
    name: "rustfmt",
    run: async () =>
      verdict(
        await run("cargo", [
          "fmt",
          "--check",
          "--manifest-path",
          "rust/Cargo.toml",
        ]),
      ),
  },
  {
    name: "clippy",
    run: async () =>
      verdict(
        await cargo(["clippy", "--all-targets", "--", "--deny", "warnings"]),
      ),
  },
  { name: "rust", run: async () => cargoCounts(await cargo(["test"])) },
  {
    name: "loom",
    run: async () =>
      cargoCounts(
        await cargo(
          [
            "test",
            "--release",
            "--lib",
            "--target-dir",
            "rust/target/loom",
            "loom",
          ],
          // Almost all defects show with two or three preemptions; without the bound a model runs
          // for hours (loom's documentation).
          { env: { RUSTFLAGS: "--cfg loom", LOOM_MAX_PREEMPTIONS: "3" } },
        ),
      ),
  },
  {
    name: "instructions",
    run: async () => {
      const obstacle = await instructionsObstacle();
      if (obstacle !== undefined) return skipped(obstacle);
      return await checkInstructions()
        ? { passed: 1, failed: 0, skipped: 0 }
        : { passed: 0, failed: 1, skipped: 0 };
    },
  },
  {
    name: "asan",
    run: async () => {
      if (!await available("cargo", ["+nightly", "--version"])) {
        return skipped("AddressSanitizer needs the nightly toolchain");
      }
      return cargoCounts(
        await cargo([
          "test",
          "--lib",
          "--target",
          `${Deno.build.arch}-unknown-linux-gnu`,
          "--target-dir",
          "rust/target/asan",
          // The sanitizer needs mappings of its own, which this test uses up; part "rust" runs it.
          "--",
          "--skip",
          "memory_goes_back_when_mappings_run_out",
        ], { toolchain: "nightly", env: { RUSTFLAGS: "-Zsanitizer=address" } }),
      );
    },
  },
  {
    name: "fmt",
    run: async () => verdict(await run(DENO, ["fmt", "--check"])),
  },
  { name: "lint", run: async () => verdict(await run(DENO, ["lint"])) },
  {
    name: "check",
    run: async () =>
      verdict(
        await run(DENO, [
          "check",
          "mod.ts",
          "segment.ts",
          "storage.ts",
          "lib",
          "tests",
          "bench",
          "tools",
        ]),
      ),
  },
  {
    name: "doc-lint",
    run: async () =>
      verdict(await run(DENO, ["doc", "--lint", ...entryPoints()])),
  },
  {
    name: "embed",
    // The other platforms need a toolchain that is not asked for here.
    run: async () =>
      verdict(await run(DENO, ["task", "embed", Deno.build.target])),
  },
  {
    name: "publish",
    run: async () =>
      verdict(await run(DENO, ["publish", "--dry-run", "--allow-dirty"])),
  },
  {
    name: "crash",
    aside: true,
    run: () => denoTest(["--allow-all", "tests/crash"], { aside: true }),
  },
  {
    name: "ffi-only",
    // The plain command, as somebody types it.
    run: () => denoTest(["--allow-ffi", "--no-prompt"]),
  },
  {
    name: "typescript",
    run: () => denoTest(["--allow-all", "--ignore=tests/crash", "tests"]),
  },
  { name: "threads", run: () => engineTest("threads") },
  { name: "plain", run: () => engineTest("plain") },
  {
    name: "examples",
    run: () =>
      denoTest([
        "--allow-all",
        "--doc",
        "mod.ts",
        "segment.ts",
        "storage.ts",
        "lib",
        "docs",
      ]),
  },
  {
    name: "fuzz",
    long: true,
    run: async () => {
      if (!await available("cargo", ["+nightly", "fuzz", "--version"])) {
        return skipped(
          "fuzzing needs the nightly toolchain and cargo-fuzz (cargo install cargo-fuzz)",
        );
      }
      const counts = { passed: 0, failed: 0, skipped: 0 };
      for (const target of ["scan", "seal", "find"]) {
        const { passed, failed } = await fuzz(target, 300);
        counts.passed += passed;
        counts.failed += failed;
      }
      return counts;
    },
  },
  {
    name: "kills",
    long: true,
    run: () =>
      denoTest(["--allow-all", "tests/torture/kill_test.ts"], {
        env: { BASALT_KILLS: "10000" },
      }),
  },
  {
    name: "shipping",
    long: true,
    run: () =>
      denoTest(["--allow-all", "tests/jetstream", "tests/ship"], {
        env: {
          BASALT_SHIPPER_KILLS: "3000",
          BASALT_LEADER_KILLS: "300",
          BASALT_SHIP_MESSAGES: "10000000",
        },
      }),
  },
  {
    name: "crash-states",
    long: true,
    run: () =>
      denoTest(["--allow-all", "tests/crash/crash_states_test.ts"], {
        env: { BASALT_CRASH_STATES: "1000000" },
      }),
  },
  {
    name: "soak",
    long: true,
    run: () =>
      denoTest(["--allow-all", "tests/torture/soak_test.ts"], {
        env: { BASALT_SOAK_MINUTES: "30" },
      }),
  },
];

/** Runs a fuzz target for a while; what it finds is kept under `rust/fuzz/artifacts`. */
async function fuzz(target: string, seconds: number): Promise<Counts> {
  return verdict(
    await run("cargo", [
      "+nightly",
      "fuzz",
      "run",
      "--fuzz-dir=rust/fuzz",
      target,
      "--",
      `-max_total_time=${seconds}`,
      "-max_len=16384",
    ]),
  );
}

/** The modules that the package exports, but for the one that is generated. */
function entryPoints(): string[] {
  const { exports } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  return Object.values<string>(exports).filter((path) =>
    !path.includes("/embedded/")
  );
}

/**
 * Tests that must not be skipped in CI: a line each; `#` begins a comment. Elsewhere what they need
 * may be missing.
 */
function required(): string[] {
  if (Deno.env.get("CI") === undefined) return [];
  return Deno.readTextFileSync(`${ROOT}tests/required.txt`).split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line.length > 0);
}

/** The parts by name, for the help. */
function namesOf(parts: readonly Part[]): string {
  return parts.map(({ name }) => name).join(", ");
}

const program = new Command("test")
  .description(
    "Run the checks of the project, in parts, and print their times.",
  )
  .argument("[PART...]", "names of parts; all that take minutes without them")
  .option("--long", "run the parts that take hours instead")
  .addHelpText(
    "after",
    `
Parts: ${namesOf(PARTS.filter(({ long }) => !long))}.
Long: ${namesOf(PARTS.filter(({ long }) => long))}.`,
  )
  .exitOverride(({ exitCode }) => Deno.exit(exitCode === 0 ? 0 : 2))
  .parse(Deno.args, { from: "user" });
const names = program.args;
const long = program.opts().long === true;
const unknown = names.filter((name) =>
  !PARTS.some((part) => part.name === name)
);
if (unknown.length > 0) {
  program.error(`error: no part is called '${unknown[0]}'; see --help`);
}
const wanted = PARTS.filter((part) =>
  names.length === 0 ? (part.long === true) === long : names.includes(part.name)
);
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const rows: string[] = [];

/** Runs a part and counts what it gave. */
async function count(part: Part): Promise<void> {
  const start = performance.now();
  const counts = await part.run();
  // What needs no files runs twice: only the second run counts what was skipped.
  if (part.name === "ffi-only") counts.skipped = 0;
  for (const key of ["passed", "failed", "skipped"] as const) {
    total[key] += counts[key];
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  rows.push(
    `${part.name.padEnd(12)} ${
      seconds.padStart(7)
    } s  ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`,
  );
}

const aside: Promise<void>[] = [];
for (const part of wanted) {
  console.log(
    `\n=== ${part.name}${part.aside ? ", beside those behind it" : ""}`,
  );
  const counted = count(part);
  if (part.aside) aside.push(counted);
  else await counted;
}
await Promise.all(aside);

const whole = names.length === 0 && !long;
const missing = required().filter((name) => tests.get(name) ?? whole);
for (const name of missing) {
  const how = tests.has(name) ? "skipped" : "there is no such test";
  console.log(`required, but ${how}: ${name}`);
}
total.failed += missing.length;

console.log(`\n${rows.join("\n")}\n`);
const tail = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
console.log(`${total.passed} passed, ${total.failed} failed${tail}`);
Deno.exit(total.failed > 0 ? 1 : 0);
