import type { Command } from "commander";
import { type CursorInfo, LogReader } from "../../log/mod.ts";
import { describeOwner } from "../../storage/mod.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { formatBytes, formatTable } from "../terminal.ts";

interface Options {
  delete?: string;
  json?: true;
}

const HELP = `
The bytes of the lag are estimated. A cursor that is deleted holds nothing back any more; its
owner's next commit fails.

Examples:
  basalt cursors data/log
      a table of the cursors
  basalt cursors data/log --delete billing
      forgetting one`;

/** `basalt cursors`: how far the consumers of a log have come. */
export function cursors(console: Console): Command {
  return command(
    "cursors",
    "Tell how far each cursor of a log has come, how much is left, and which process has it open.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .option("--delete <name>", "delete this cursor")
    .option("--json", "a JSON object for each cursor")
    .action((dir: string, options: Options) => show(dir, options, console));
}

async function show(
  dir: string,
  { delete: name, json }: Options,
  console: Console,
): Promise<void> {
  const reader = new LogReader(dir);
  if (name !== undefined && !await reader.deleteCursor(name)) {
    throw new Deno.errors.NotFound(`No cursor '${name}' of log '${dir}'`);
  }
  const found = await reader.cursors();
  if (json) {
    for (const each of found) console.json(each);
  } else {
    console.line(
      found.length === 0 ? "no cursors" : cursorTable(found, console.columns),
    );
  }
}

/** The cursors as a table. */
export function cursorTable(
  cursors: readonly CursorInfo[],
  columns: number | undefined,
): string {
  return formatTable(
    [
      ["cursor", "position", "lag", "bytes", "owner"],
      ...cursors.map(({ name, position, lag, locked, owner }) => [
        name,
        String(position),
        String(lag.messages),
        formatBytes(lag.bytes),
        `${locked ? "open by" : "last open by"} ${describeOwner(owner)}`,
      ]),
    ],
    ["left", "right", "right", "right", "left"],
    columns,
  );
}
