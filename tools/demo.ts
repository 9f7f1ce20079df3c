/** `deno task demo [FILE]`: the library at work on the disk of the caller's directory. */
import { Command } from "commander";
import { Progress } from "../lib/cli/terminal.ts";
import { buildLibrary } from "./build.ts";

const program = new Command("demo")
  .description(
    "Append a file's lines to a log on direct I/O, read them back verified, and compare with Deno.FsFile.",
  )
  .argument(
    "[FILE]",
    "the file whose lines are the messages; without one, the text of the checkout, repeated",
  )
  .option("--json", "print the figures as one JSON object")
  .addHelpText(
    "after",
    "\nEverything is written below the present directory, so that its disk is measured, and removed again.",
  )
  .exitOverride(({ exitCode }) => Deno.exit(exitCode === 0 ? 0 : 2))
  .parse(Deno.args, { from: "user" });

buildLibrary();
const { demonstrate, formatDemonstration } = await import("../bench/demo.ts");

// Not in /tmp: that is often memory.
const dir = Deno.makeTempDirSync({ dir: ".", prefix: ".basalt-demo-" });
const clean = (): void => Deno.removeSync(dir, { recursive: true });
Deno.addSignalListener("SIGINT", () => {
  clean();
  Deno.exit(130);
});
const progress = new Progress();
try {
  const found = await demonstrate(
    program.args[0],
    dir,
    (text) => progress.show(text),
  );
  progress.end();
  console.log(
    program.opts().json === true
      ? JSON.stringify(found)
      : formatDemonstration(found),
  );
} catch (error) {
  progress.end();
  console.error(`demo: ${(error as Error).message}`);
  Deno.exitCode = 1;
} finally {
  clean();
}
Deno.exit();
