import { type Command, Option } from "commander";
import { inspectLog, LogReader } from "../../log/mod.ts";
import { time, TIME_FORMS } from "../amounts.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { Interrupted, Interruption } from "../interruption.ts";
import {
  printAll,
  printerOf,
  type PrintingFlags,
  printingOptions,
} from "./read.ts";

interface Options extends PrintingFlags {
  durable?: true;
}

const HELP = `
It begins with what is written from now on, unless told otherwise. With --cursor it sees only
what is durable.

Examples:
  basalt tail data/log
      what is written from now on
  basalt tail data/log --from 0 --json
      everything, then what follows
  basalt tail data/log --cursor audit --commit
      what no such tail has printed before`;

/** `basalt tail`: messages of a log as they are written. */
export function tail(console: Console): Command {
  const made = command(
    "tail",
    "Print messages of a log as another process writes them, until Ctrl-C or --count.",
    HELP,
  ).argument("<dir>", "the log's directory");
  return printingOptions(made)
    .addOption(
      new Option(
        "--since <time>",
        `begin with the first message appended since then: ${TIME_FORMS}`,
      ).argParser(time).conflicts("cursor"),
    )
    .addOption(
      new Option("--cursor <name>", "begin where this cursor is")
        .conflicts("durable"),
    )
    .option("--durable", "only messages that survive a power cut")
    .action((dir: string, options: Options) => follow(dir, options, console));
}

async function follow(
  dir: string,
  options: Options,
  console: Console,
): Promise<void> {
  const { count, cursor: name, commit } = options;
  const print = printerOf(options);
  using interruption = new Interruption();
  const { signal } = interruption;
  const reader = new LogReader(dir);
  await using cursor = name === undefined
    ? undefined
    : await reader.cursor(name);
  const batches = cursor?.batches({ signal }) ??
    reader.tail({ ...await startOf(dir, options), signal });
  try {
    await printAll(
      batches,
      { print, count, cursor: commit && cursor },
      console,
    );
  } catch (error) {
    if (error !== signal.reason) throw error;
    throw new Interrupted("Interrupted");
  }
}

async function startOf(
  dir: string,
  { from, since, durable }: Options,
): Promise<{ from?: number; since?: number; durable: boolean }> {
  const how = { durable: durable === true };
  if (from !== undefined) return { from, ...how };
  if (since !== undefined) return { since, ...how };
  const { nextOffset } = await inspectLog(dir);
  return { from: nextOffset, ...how };
}
