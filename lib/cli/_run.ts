import { type Command, CommanderError, type Help } from "commander";
import { CorruptSegmentError } from "../segment/mod.ts";
import project from "../../deno.json" with { type: "json" };
import { command, type MakeCommand } from "./_command.ts";
import type { Console } from "./_console.ts";
import { Interrupted } from "./_interruption.ts";
import { wrap } from "./_terminal.ts";
import { cursors } from "./commands/_cursors.ts";
import { ingest } from "./commands/_ingest.ts";
import { inspect } from "./commands/_inspect.ts";
import { metrics } from "./commands/_metrics.ts";
import { probe } from "./commands/_probe.ts";
import { read, tail } from "./commands/_read.ts";
import { repair } from "./commands/_repair.ts";
import { retain } from "./commands/_retain.ts";
import { pull, ship } from "./commands/_ship.ts";
import { exportLog, importLog } from "./commands/_transfer.ts";
import { verify } from "./commands/_verify.ts";

/** The commands, in the order of the help. A new one gets a line here. */
export const COMMANDS: readonly MakeCommand[] = [
  ingest,
  read,
  tail,
  cursors,
  inspect,
  verify,
  repair,
  retain,
  metrics,
  probe,
  exportLog,
  importLog,
  ship,
  pull,
];

/** Exit codes. */
const FAILED = 1;
const WRONG_USE = 2;
const INTERRUPTED = 130;
/** Longer lines are hard to read. */
const MAX_HELP_COLUMNS = 100;
/** In a narrower terminal the help of an option begins below the option. */
const MIN_LIST_COLUMNS = 60;

const HELP = `
A log is a directory of segments. To start:
  basalt ingest access.log --into data/log
  basalt read data/log --count 10
  basalt verify data/log

basalt COMMAND --help shows each command with examples.

Exit codes: 0 success, 1 failure or faults found, 2 wrong use, 130 interrupted.`;

/** The columns of help on a stream that is not a terminal. */
const HELP_COLUMNS = 80;

/** Runs a command to its end, and returns the exit code. */
export async function run(
  args: readonly string[],
  console: Console,
): Promise<number> {
  try {
    await program(console).parseAsync(args, { from: "user" });
    console.flush();
    return console.exitCode;
  } catch (error) {
    return conclude(error, console);
  }
}

function program(console: Console): Command {
  const basalt = command(
    "basalt",
    "Durable logs of messages on direct I/O: fill, read, check and repair them.",
    HELP,
  ).version(project.version, "--version", "print the version");
  const columns = Math.min(console.columns ?? HELP_COLUMNS, MAX_HELP_COLUMNS);
  const help: Partial<Help> = {
    minWidthToWrap: 10,
    subcommandTerm: (each) => each.name(),
    subcommandDescription: (each) => each.description().replace(/[.:].*/, ""),
    ...columns < MIN_LIST_COLUMNS && {
      formatItem: (term, _, text) => {
        return `  ${term}\n${wrap(`      ${text}`, columns, "      ")}`;
      },
    },
  };
  for (const make of COMMANDS) basalt.addCommand(make(console));
  for (const each of [basalt, ...basalt.commands]) {
    each.exitOverride()
      .configureHelp(help)
      .showHelpAfterError(`See ${pathOf(each)} --help`)
      .configureOutput({
        writeOut: (text) => console.write(new TextEncoder().encode(text)),
        writeErr: (text) => console.errorLine(text.trimEnd()),
        outputError: (text) => console.error(text.trimEnd()),
        // Asked of the environment otherwise, which would need a permission.
        getOutHasColors: () => false,
        getErrHasColors: () => false,
        getOutHelpWidth: () => columns,
        getErrHelpWidth: () => columns,
      });
  }
  return basalt;
}

function pathOf(command: Command): string {
  return command.parent === null
    ? command.name()
    : `${pathOf(command.parent)} ${command.name()}`;
}

/** Reports an error, and returns the exit code. */
function conclude(error: unknown, console: Console): number {
  // The program that reads the output has enough of it.
  if (error instanceof Deno.errors.BrokenPipe) return 0;
  try {
    console.flush();
  } catch (failure) {
    if (failure instanceof Deno.errors.BrokenPipe) return FAILED;
    error = failure;
  }
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? 0 : WRONG_USE;
  }
  if (error instanceof Interrupted) {
    console.error(error.message);
    return INTERRUPTED;
  }
  console.error(
    `basalt: ${error instanceof Error ? error.message : String(error)}`,
  );
  if (isDamage(error)) console.error(ADVICE);
  return FAILED;
}

/** What a user can do about a damaged log. */
const ADVICE = `basalt verify lists every fault of the log.
basalt repair shows what a repair would lose.
basalt read --skip-damaged prints all valid messages.`;

/** Whether an error, or what caused it, is damage of a log. */
function isDamage(error: unknown): boolean {
  return error instanceof CorruptSegmentError ||
    error instanceof Error && isDamage(error.cause);
}
