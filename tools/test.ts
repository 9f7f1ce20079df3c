/**
 * `deno task test`: every check of the project in parts, with the time of each, and one final line
 * for all of them.
 *
 * Two parts run at a time, since many of them wait for a disk or a process. Arguments are names of
 * parts. Without any, all but the long ones run. `--long` runs those, one by one.
 */
import { Command } from "commander";
import { checkInstructions, instructionsObstacle } from "./instructions.ts";
import {
  available,
  cargoCounts,
  type Counts,
  denoCounts,
  type Finished,
  linePrefix,
  ROOT,
  run,
  testsOf,
  verdict,
} from "./run.ts";

/** A part of the run. */
interface Part {
  name: string;
  /** Whether it takes too long for an ordinary run. */
  long?: true;
  /** The parts that must end first, if they run at all. */
  after?: readonly string[];
  run(): Promise<Counts>;
}

const DENO = Deno.execPath();
const MANIFEST = ["--manifest-path", "rust/Cargo.toml", "--locked"];
const PRELOAD = "--preload=tests/preload.ts";
/** The TypeScript tests that ran with all permissions, by name, and whether they were ignored. */
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

/** Runs tests. The part "check" checks their types. */
async function denoTest(
  args: string[],
  env: Record<string, string> = {},
): Promise<Counts> {
  const all = args.includes("--allow-all");
  const preload = all ? [PRELOAD] : [];
  const finished = await run(
    DENO,
    ["test", "--no-check", ...preload, ...args],
    { env },
  );
  if (all) {
    for (const [name, ignored] of testsOf(finished)) tests.set(name, ignored);
  }
  return denoCounts(finished);
}

/** Runs the tests that use files again, with an engine that is not the default here. */
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
  return denoTest(["--allow-all", ...tests], { BASALT_ENGINE: kind });
}

function skipped(reason: string): Counts {
  console.log(`skipped: ${reason}`);
  return { passed: 0, failed: 0, skipped: 1 };
}

async function checked(command: string, args: string[]): Promise<Counts> {
  return verdict(await run(command, args));
}

const PARTS: Part[] = [
  {
    name: "build",
    run: async () => verdict(await cargo(["build", "--release"])),
  },
  { name: "fmt", run: () => checked(DENO, ["fmt", "--check"]) },
  { name: "lint", run: () => checked(DENO, ["lint"]) },
  {
    name: "check",
    run: () =>
      checked(DENO, [
        "check",
        "mod.ts",
        "segment.ts",
        "storage.ts",
        "lib",
        "tests",
        "bench",
        "tools",
      ]),
  },
  {
    name: "doc-lint",
    run: () => checked(DENO, ["doc", "--lint", ...entryPoints()]),
  },
  {
    name: "embed",
    after: ["build"],
    // The other platforms need a toolchain that is not required here.
    run: () => checked(DENO, ["task", "embed", Deno.build.target]),
  },
  {
    name: "typescript",
    after: ["build", "embed"],
    run: () => denoTest(["--allow-all", "--ignore=tests/crash", "tests"]),
  },
  {
    name: "crash",
    after: ["build"],
    run: () => denoTest(["--allow-all", "tests/crash"]),
  },
  {
    name: "publish",
    after: ["embed"],
    run: () =>
      checked(DENO, ["publish", "--dry-run", "--allow-dirty", "--no-check"]),
  },
  {
    name: "rustfmt",
    run: () =>
      checked("cargo", [
        "fmt",
        "--check",
        "--manifest-path",
        "rust/Cargo.toml",
      ]),
  },
  {
    name: "clippy",
    run: async () =>
      verdict(
        await cargo(["clippy", "--all-targets", "--", "--deny", "warnings"]),
      ),
  },
  {
    name: "rust",
    // Both write to the same directory.
    after: ["clippy"],
    run: async () => cargoCounts(await cargo(["test", "--lib"])),
  },
  { name: "asan", run: addressSanitizer },
  {
    name: "loom",
    run: async () =>
      cargoCounts(
        await cargo(
          ["test", "--lib", "--target-dir", "rust/target/loom", "loom"],
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
  { name: "threads", after: ["build"], run: () => engineTest("threads") },
  { name: "plain", after: ["build"], run: () => engineTest("plain") },
  {
    name: "ffi-only",
    after: ["build"],
    // The plain command, as a user types it.
    run: () => denoTest(["--allow-ffi", "--no-prompt"]),
  },
  {
    name: "examples",
    after: ["build"],
    run: async () =>
      denoCounts(
        await run(DENO, [
          "test",
          "--allow-all",
          "--doc",
          "mod.ts",
          "segment.ts",
          "storage.ts",
          "lib",
          "docs",
        ]),
      ),
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
    name: "timing",
    long: true,
    run: () => denoTest(["--allow-all", ...timingTests()]),
  },
  {
    name: "models",
    long: true,
    run: () =>
      denoTest([
        "--allow-all",
        "tests/crash/faults_test.ts",
        "tests/log/repair/every_bit_test.ts",
        "tests/log/recovery/property_test.ts",
        "tests/log/recovery/torn_test.ts",
      ], { BASALT_CASES: "4" }),
  },
  {
    name: "kills",
    long: true,
    run: () =>
      denoTest(["--allow-all", "tests/torture/kill_test.ts"], {
        BASALT_KILLS: "10000",
      }),
  },
  {
    name: "shipping",
    long: true,
    run: () =>
      denoTest(["--allow-all", "tests/jetstream", "tests/ship"], {
        BASALT_SHIPPER_KILLS: "3000",
        BASALT_LEADER_KILLS: "300",
        BASALT_SHIP_MESSAGES: "10000000",
      }),
  },
  {
    name: "crash-states",
    long: true,
    run: () =>
      denoTest(["--allow-all", "tests/crash/crash_states_test.ts"], {
        BASALT_CRASH_STATES: "1000000",
      }),
  },
  {
    name: "soak",
    long: true,
    run: () =>
      denoTest(["--allow-all", "tests/torture/soak_test.ts"], {
        BASALT_SOAK_MINUTES: "30",
      }),
  },
];

/** Runs the tests of the library with AddressSanitizer. */
async function addressSanitizer(): Promise<Counts> {
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
      // The sanitizer needs mappings of its own, which this test uses up. The part "rust" runs it.
      "--",
      "--skip",
      "memory_goes_back_when_mappings_run_out",
    ], { toolchain: "nightly", env: { RUSTFLAGS: "-Zsanitizer=address" } }),
  );
}

/** Runs a fuzz target for a time. Its findings are kept in `rust/fuzz/artifacts`. */
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

/** Returns the tests that measure times. Their names do not end in `_test.ts`. */
function timingTests(): string[] {
  return [...Deno.readDirSync(`${ROOT}tests/timing`)]
    .filter(({ name }) => name.endsWith("_timing.ts"))
    .map(({ name }) => `tests/timing/${name}`);
}

/** Returns the modules that the package exports, without the generated one. */
function entryPoints(): string[] {
  const { exports } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  return Object.values<string>(exports).filter((path) =>
    !path.includes("/embedded/")
  );
}

/**
 * Returns the tests that must not be skipped in CI, one a line; `#` begins a comment. Elsewhere,
 * what they need may be missing.
 */
function required(): string[] {
  if (Deno.env.get("CI") === undefined) return [];
  return Deno.readTextFileSync(`${ROOT}tests/required.txt`).split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line.length > 0);
}

/** Returns the names of the parts, for the help. */
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

/** Runs a part and counts its results. */
async function count(part: Part): Promise<void> {
  console.log(`=== ${part.name}`);
  const start = performance.now();
  const prefix = lanes > 1 ? `${part.name.padEnd(12)} ` : "";
  const counts = await linePrefix.run(prefix, () => part.run());
  // Tests that need no files run twice. Only the second run counts skipped ones.
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

/** Number of parts that run at a time. */
const lanes = wanted.length === 1 || wanted.some((part) => part.long) ? 1 : 2;
const waiting = [...wanted];
const running = new Map<string, Promise<void>>();
while (waiting.length + running.size > 0) {
  const isOver = (name: string) =>
    !running.has(name) && !waiting.some((part) => part.name === name);
  const next = waiting.findIndex(({ after = [] }) => after.every(isOver));
  if (next < 0 || running.size === lanes) {
    await Promise.race(running.values());
    continue;
  }
  const [part] = waiting.splice(next, 1);
  const { name } = part!;
  running.set(name, count(part!).finally(() => running.delete(name)));
}

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
