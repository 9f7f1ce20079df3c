import { type Command, Option } from "commander";
import {
  planRepair,
  type RepairKeep,
  repairLog,
  type RepairPlan,
  type RepairStep,
} from "../../log/mod.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { formatBytes, formatCount } from "../terminal.ts";
import { doings } from "./inspect.ts";

interface Options {
  keep?: RepairKeep;
  yes?: true;
  json?: true;
}

const HELP = `
A log ends at its first bad batch: what follows is cut, and kept in .cut files beside the
segments. Wrong indexes are written again; a log that was left open is closed. Names that are
not the log's, and times that go back, are left as they are.

Without --yes the exit code is 0 if there is nothing to repair, else 1.

Examples:
  basalt repair data/log
      what would be done, and lost
  basalt repair data/log --yes
      doing it`;

/** `basalt repair`: a damaged log becomes a whole one. */
export function repair(console: Console): Command {
  return command(
    "repair",
    "Tell how a damaged log would be made whole, and what it would lose; with --yes, do it.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .addOption(
      new Option(
        "--keep <part>",
        "which segments to keep where they do not connect",
      ).choices(["oldest", "newest"]),
    )
    .option("--yes", "do it")
    .option(
      "--json",
      'the plan as one JSON object; "done" tells whether it was done',
    )
    .action((dir: string, options: Options) =>
      repairDirectory(dir, options, console)
    );
}

async function repairDirectory(
  dir: string,
  { keep, yes, json }: Options,
  console: Console,
): Promise<void> {
  let bytes = 0;
  const onRead = (more: number): void => {
    bytes += more;
    console.progress(() => `reading '${dir}': ${formatBytes(bytes)}`);
  };
  const plan = await planRepair(dir, { onRead, ...keep && { keep } });
  if (!json) console.line(inWords(plan));
  console.flush();
  const done = yes === true && plan.needed;
  if (done) await repairLog(dir, plan, { onRead });
  if (json) console.json({ ...plan, done });
  else if (done) console.line("Done: the log is whole, and closed.");
  else if (plan.needed) {
    console.line("Nothing was changed: add --yes to do it.");
  }
  if (plan.needed && !done) console.exitCode = 1;
}

function inWords(plan: RepairPlan): string {
  const { path, needed, firstOffset, nextOffset } = plan;
  if (!needed) return `'${path}' is whole: nothing to repair`;
  return [
    `To repair '${path}':`,
    ...[...plan.steps.map(step), ...doings(plan.opening), "close the log"]
      .map((each) => `- ${each}`),
    `The log loses ${formatCount(plan.lostMessages, "valid message")}, ${
      formatBytes(plan.lostBytes)
    } with what is damaged; they are kept beside it.`,
    `It then holds ${
      formatCount(nextOffset - firstOffset, "message")
    } at offsets [${firstOffset}, ${nextOffset}).`,
  ].join("\n");
}

function step(each: RepairStep): string {
  if (each.action === "rebuildIndex") return `write '${each.path}' again`;
  if (each.action === "replaceMeta") {
    return `write '${each.path}' again: the log starts at offset ${each.firstOffset}`;
  }
  if (each.action === "createSegment") {
    return `make an empty segment at offset ${each.firstOffset}, because none is left`;
  }
  const loss = `${formatBytes(each.byteLength)}, ${
    formatCount(each.messages, "valid message")
  }`;
  if (each.action === "setAside") {
    return `take '${each.path}' out of the log (${loss}), kept as '${each.kept}'`;
  }
  const where = `cut '${each.path}' at byte ${each.position}`;
  return each.kept === undefined
    ? `${where} (zeros only)`
    : `${where} (${loss}), kept in '${each.kept}'`;
}
