import type { Command } from "npm:commander@14.0.0";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { demo } from "../demo.ts";

/** `basalt demo`: the library at work on this machine. */
export function demonstrate(console: Console): Command {
  return command(
    "demo",
    "Append a file's lines to a log on direct I/O, read them back verified, and compare with Deno.FsFile.",
    {
      notes: [
        "The log is written below the present directory, so that its disk is measured, and removed again.",
      ],
      examples: [["basalt demo access.log", "the figures for this file here"]],
    },
  )
    .argument("<file>", "the file whose lines are the messages")
    .action(async (file: string) => {
      console.exitCode = await demo([file], Deno.cwd());
    });
}
