import { Option } from "commander";
import {
  planRepair,
  type RepairKeep,
  repairLog,
  type RepairPlan,
  type RepairStep,
} from "../../log/mod.ts";
import { command, type MakeCommand } from "../_command.ts";
import type { Console } from "../_console.ts";
import { formatBytes, formatCount } from "../_terminal.ts";
import { openingSteps } from "./_inspect.ts";

interface Options {
  keep?: RepairKeep;
  yes?: true;
  json?: true;
}

const HELP = `
A repair ends each segment at its first bad batch. What follows is cut, and kept in .cut files
beside the segments. Wrong indexes are written again, and a log that was left open is closed. Files
with other names and times that go back stay as they are.

Without --yes the exit code is 0 if there is nothing to repair, else 1.

Examples:
  basalt repair data/log
      what would be done, and lost
  basalt repair data/log --yes
      do it`;

/** `basalt repair`: makes a damaged log whole. */
export const repair: MakeCommand = (console) =>
  command(
    "repair",
    "Show how a damaged log would be repaired and what would be lost. With --yes, repair it.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .addOption(
      new Option(
        "--keep <part>",
        "the segments to keep where they do not connect",
      ).choices(["oldest", "newest"]),
    )
    .option("--yes", "do it")
    .option(
      "--json",
      'print the plan as one JSON object; "done" says whether it was done',
    )
    .action(async (dir: string, { keep, yes, json }: Options) => {
      let bytes = 0;
      const onRead = (more: number): void => {
        bytes += more;
        console.progress.show(() => `reading '${dir}': ${formatBytes(bytes)}`);
      };
      const plan = await planRepair(dir, { onRead, ...keep && { keep } });
      if (!json) showPlan(plan, console);
      console.flush();
      const done = yes === true && plan.needed;
      if (done) await repairLog(dir, plan, { onRead });
      else if (plan.needed) console.exitCode = 1;
      if (json) console.json({ ...plan, done });
      else if (done) console.text("Done: the log is whole, and closed.");
      else if (plan.needed) {
        console.text("Nothing was changed. Add --yes to repair the log.");
      }
    });

function showPlan(plan: RepairPlan, console: Console): void {
  const { path, needed, steps, opening, firstOffset, nextOffset } = plan;
  if (!needed) return console.text(`'${path}' is whole: nothing to repair`);
  console.text(`To repair '${path}':`);
  const all = [...steps.map(describe), ...openingSteps(opening)];
  for (const step of [...all, "close the log"]) console.text(`- ${step}`, "  ");
  const lost = formatCount(plan.lostMessages, "valid message");
  const bytes = formatBytes(plan.lostBytes);
  const left = formatCount(nextOffset - firstOffset, "message");
  console.text(
    `The log loses ${lost}, ${bytes}, together with what is damaged. They are kept beside it.`,
  );
  console.text(
    `It then holds ${left} at offsets [${firstOffset}, ${nextOffset}).`,
  );
}

function describe(step: RepairStep): string {
  if (step.action === "rebuildIndex") return `write '${step.path}' again`;
  if (step.action === "replaceMeta") {
    return `write '${step.path}' again: the log starts at offset ${step.firstOffset}`;
  }
  if (step.action === "createSegment") {
    return `make an empty segment at offset ${step.firstOffset}, because no segment is left`;
  }
  const messages = formatCount(step.messages, "valid message");
  const loss = `${formatBytes(step.byteLength)}, ${messages}`;
  if (step.action === "setAside") {
    return `take '${step.path}' out of the log (${loss}) and keep it as '${step.kept}'`;
  }
  const where = `cut '${step.path}' at byte ${step.position}`;
  return step.kept === undefined
    ? `${where} (zeros only)`
    : `${where} (${loss}) and keep the rest in '${step.kept}'`;
}
