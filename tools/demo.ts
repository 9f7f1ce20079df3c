/**
 * `deno task demo [FILE]`: shows the case for Basalt in ten seconds, on the disk of the current
 * directory.
 */
import { Command } from "commander";
import {
  Progress,
  terminalColumns,
  wrap,
  writeAll,
} from "../lib/cli/_terminal.ts";
import type { Stage } from "../bench/demo/stage.ts";
import { buildLibrary } from "./build.ts";

const KILLS = 3;

const program = new Command("demo")
  .description(
    "Write lines and durable messages to a log, beside Deno.FsFile and node:sqlite. Then kill writers, and show that no acknowledged message is lost.",
  )
  .argument(
    "[FILE]",
    "the file whose lines are written; without one, the text of the checkout",
  )
  .option("--seconds <n>", "seconds for which each side is measured", "0.8")
  .option("--json", "print the figures as one JSON object")
  .addHelpText(
    "after",
    "\nFiles are written to the current directory, to measure its disk, and removed.",
  )
  .exitOverride(({ exitCode }) => Deno.exit(exitCode === 0 ? 0 : 2))
  .parse(Deno.args, { from: "user" });
const { seconds, json } = program.opts();
const sideMs = 1000 * Number(seconds);
if (!(sideMs > 0 && sideMs <= 60_000)) {
  program.error(`error: --seconds must be above 0, at most 60: ${seconds}`);
}

buildLibrary();
const { BufferPool } = await import("../lib/pool/mod.ts");
const { readSample } = await import("../bench/demo/sample.ts");
const { ingest } = await import("../bench/demo/ingest.ts");
const { appends, TASKS } = await import("../bench/demo/appends.ts");
const { kills } = await import("../bench/demo/kills.ts");
const { formatBars, formatKill, formatReading } = await import(
  "../bench/demo/picture.ts"
);

/** The directory of all files. It is not in /tmp, which is often memory. */
let root = "";
let directories = 0;
let isEnding = false;

/** Removes all files. */
function clean(): void {
  for (let tries = 0; root !== ""; tries++) {
    try {
      Deno.removeSync(root, { recursive: true });
      root = "";
    } catch (error) {
      // A file that was being created at the time of the signal exists by now.
      if (tries === 3) throw error;
    }
  }
}

/** Ends after a signal. */
async function end(): Promise<void> {
  isEnding = true;
  progress.end();
  try {
    stage.child?.kill("SIGKILL");
  } catch { /* it has ended */ }
  await stage.child?.status;
  clean();
  Deno.exit(130);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, end);
}

const progress = new Progress();
const stage: Stage = {
  sideMs,
  directory() {
    const path = `${root}/${directories++}`;
    Deno.mkdirSync(path);
    const remove = (): void => Deno.removeSync(path, { recursive: true });
    return { path, [Symbol.dispose]: remove };
  },
  show: (text: string) => progress.show(text),
};
const drawing = {
  columns: Deno.stdout.isTerminal() ? terminalColumns() ?? 80 : 80,
  hasColors: Deno.stdout.isTerminal() && !Deno.noColor,
};

function print(text: string): void {
  progress.end();
  if (!json) writeAll(Deno.stdout, new TextEncoder().encode(`${text}\n`));
}

async function run(): Promise<boolean> {
  const sample = readSample(program.args[0]);
  root = Deno.makeTempDirSync({ dir: ".", prefix: ".basalt-demo-" });
  using pool = new BufferPool();
  const ingested = await ingest(stage, pool, sample);
  const title = "Lines of a text, all durable at the end";
  print(formatBars(title, "lines a second", ingested.rates, drawing));
  print(`${formatReading(ingested, drawing)}\n`);

  const appended = await appends(stage, pool);
  const tasks = `${TASKS} tasks, each message durable before the next`;
  print(`${formatBars(tasks, "messages a second", appended, drawing)}\n`);

  const about = `${KILLS} writers of one log, each killed in the middle`;
  print(wrap(`${about} (SIGKILL)`, drawing.columns));
  const killed = [];
  for await (const each of kills(stage, pool, KILLS)) {
    killed.push(each);
    print(formatKill(killed.length, each, drawing));
  }
  const isWhole = killed.every(({ lost }) => lost === 0);
  print(
    `\n${isWhole ? "Nothing acknowledged is lost." : "Messages are lost."}`,
  );
  if (json) {
    console.log(JSON.stringify({ lines: ingested, appended, killed }));
  }
  return isWhole;
}

try {
  if (!await run()) Deno.exitCode = 1;
} catch (error) {
  if (isEnding) await new Promise(() => {}); // `end` ends the process
  progress.end();
  if (!(error instanceof Deno.errors.BrokenPipe)) {
    // The name of the directory means nothing to the user.
    const { message } = error as Error;
    const shown = root === ""
      ? message.replace(/: tmpdir$/, ": in the current directory")
      : message.replace(
        new RegExp(`\\S*${root.replace(/^.*\//, "")}[^\\s'",:]*`, "g"),
        "the directory of the demonstration",
      );
    console.error(`demo: ${shown}`);
    Deno.exitCode = 1;
  }
} finally {
  clean();
}
Deno.exit();
