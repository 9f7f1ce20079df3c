import { type Command, Option } from "commander";
import { inspectLog, LogReader } from "../../log/mod.ts";
import { time, TIME_FORMS } from "../_amounts.ts";
import { command } from "../_command.ts";
import type { Console } from "../_console.ts";
import { Interrupted, Interruption } from "../_interruption.ts";
import { printAll, type PrintingFlags, printingOptions } from "./_read.ts";

interface Options extends PrintingFlags {
  durable?: true;
}

const HELP = `
It starts with the next message that is written, unless an option says otherwise. With --cursor it
prints only durable messages.

Examples:
  basalt tail data/log
      messages as they are written
  basalt tail data/log --from 0 --json
      all messages, then those that follow
  basalt tail data/log --cursor audit --commit
      continue where the last run stopped`;

/** `basalt tail`: prints messages of a log as they are written. */
export function tail(console: Console): Command {
  const made = command(
    "tail",
    "Print the messages of a log as another process writes them, until Ctrl-C or --count.",
    HELP,
  ).argument("<dir>", "the log's directory");
  return printingOptions(made)
    .addOption(
      new Option(
        "--since <time>",
        `start with the first message appended since then: ${TIME_FORMS}`,
      ).argParser(time).conflicts("cursor"),
    )
    .addOption(
      new Option("--cursor <name>", "start at this cursor")
        .conflicts("durable"),
    )
    .option("--durable", "print only messages that survive a power cut")
    .action(async (dir: string, options: Options) => {
      const { cursor: name, since, durable = false } = options;
      using interruption = new Interruption();
      const { signal } = interruption;
      const reader = new LogReader(dir);
      await using cursor = name === undefined
        ? undefined
        : await reader.cursor(name);
      const start = async () =>
        since !== undefined
          ? { since }
          : { from: options.from ?? (await inspectLog(dir)).nextOffset };
      const batches = cursor?.batches({ signal }) ??
        reader.tail({ ...await start(), durable, signal });
      try {
        await printAll(batches, options, cursor, console);
      } catch (error) {
        if (error !== signal.reason) throw error;
        throw new Interrupted("Interrupted");
      }
    });
}
