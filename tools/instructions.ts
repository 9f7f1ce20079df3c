/**
 * Counts the instructions of the native hot paths with callgrind, and compares them with the
 * committed figures. The load of the machine does not affect them.
 *
 * A path is run twice, the second time with more repeats. The difference is the path alone.
 * `--update` writes new figures.
 */
import { available, ROOT, run } from "./run.ts";

const FIGURES = `${ROOT}bench/instructions.json`;
const TARGET = `${ROOT}rust/target/hot_paths`;
const PROGRAM = `${TARGET}/release/hot_paths`;
/** How far a count may exceed its figure, because another compiler generates different code. */
const MARGIN = 0.15;
const REPEATS = 1000;
const PATHS = ["seal", "scan", "pool", "decode"];

/** Instructions of one repeat of each path. */
type Figures = Record<string, number>;

/** Returns why the count cannot be made here, or `undefined`. */
export async function instructionsObstacle(): Promise<string | undefined> {
  if (!await available("valgrind", ["--version"])) {
    return "instruction counts need valgrind";
  }
  if (Deno.build.arch !== "x86_64") {
    return `there are no instruction counts for ${Deno.build.arch}`;
  }
  // The hash selects its code by the features of the processor.
  return / avx2 /.test(Deno.readTextFileSync("/proc/cpuinfo"))
    ? undefined
    : "the instruction counts are those of a processor with AVX2";
}

async function instructions(path: string, repeats: number): Promise<number> {
  const { code, output } = await run("valgrind", [
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
    PROGRAM,
    path,
    String(repeats),
  ], { quiet: true });
  const collected = /Collected : (\d+)/.exec(output);
  if (code !== 0 || collected === null) {
    throw new Error(`Cannot count the instructions of '${path}': ${output}`);
  }
  return Number(collected[1]);
}

async function measure(): Promise<Figures> {
  const { code } = await run("cargo", [
    "build",
    "--release",
    "--locked",
    "--manifest-path",
    `${ROOT}rust/hot_paths/Cargo.toml`,
    "--target-dir",
    TARGET,
  ]);
  if (code !== 0) throw new Error("Cannot build hot_paths");
  const figures: Figures = {};
  for (const path of PATHS) {
    const [once, more] = [
      await instructions(path, REPEATS),
      await instructions(path, 3 * REPEATS),
    ];
    figures[path] = Math.round((more - once) / (2 * REPEATS));
  }
  return figures;
}

/**
 * Counts, prints and compares. Returns whether every path stays within its figure and the margin.
 */
export async function checkInstructions(): Promise<boolean> {
  const committed = JSON.parse(Deno.readTextFileSync(FIGURES)) as Figures;
  const counted = await measure();
  let good = true;
  for (const path of PATHS) {
    const [now, figure] = [counted[path]!, committed[path]!];
    const ratio = now / figure;
    const verdict = ratio > 1 + MARGIN
      ? "too many"
      : ratio < 1 - MARGIN
      ? "fewer: run tools/instructions.ts --update"
      : "ok";
    if (ratio > 1 + MARGIN) good = false;
    console.log(
      `${path.padEnd(7)} ${now} instructions, committed ${figure}, ratio ${
        ratio.toFixed(3)
      }: ${verdict}`,
    );
  }
  return good;
}

if (import.meta.main) {
  const obstacle = await instructionsObstacle();
  if (obstacle !== undefined) {
    console.error(obstacle);
    Deno.exit(1);
  }
  if (Deno.args.includes("--update")) {
    const text = JSON.stringify(await measure(), null, 2);
    Deno.writeTextFileSync(FIGURES, `${text}\n`);
  } else if (!await checkInstructions()) Deno.exit(1);
}
