import type { Command } from "npm:commander@14.0.0";
import { command, jsonOption } from "../command.ts";
import type { Console } from "../console.ts";
import { demonstrate, formatDemonstration } from "../demo.ts";

/** `basalt demo`: the library at work on this machine. */
export function demo(console: Console): Command {
  return command(
    "demo",
    "Append a file's lines to a log on direct I/O, read them back verified, and compare with Deno.FsFile.",
    {
      notes: [
        "Everything is written below the present directory, so that its disk is measured, and removed again.",
      ],
      examples: [
        ["basalt demo access.log", "the figures for this file on this disk"],
        ["basalt demo --json", "those for the text of the checkout, as JSON"],
      ],
    },
  )
    .argument(
      "[file]",
      "the file whose lines are the messages; without one, the text of the checkout",
    )
    .addOption(jsonOption("the figures as one JSON object"))
    .action((file: string | undefined, options: { json?: true }) =>
      run(file, options, console)
    );
}

async function run(
  file: string | undefined,
  options: { json?: true },
  console: Console,
): Promise<void> {
  // Not in /tmp: that is often memory.
  const dir = Deno.makeTempDirSync({ dir: ".", prefix: ".basalt-demo-" });
  const clean = (): void => Deno.removeSync(dir, { recursive: true });
  const interrupted = (): void => {
    clean();
    Deno.exit(130);
  };
  Deno.addSignalListener("SIGINT", interrupted);
  try {
    const show = (text: string): void => console.progress(() => text);
    const found = await demonstrate(file, dir, show);
    if (options.json) console.json(found);
    else console.line(formatDemonstration(found));
  } finally {
    Deno.removeSignalListener("SIGINT", interrupted);
    clean();
  }
}
