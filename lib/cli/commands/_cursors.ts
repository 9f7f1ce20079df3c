import { type CursorInfo, LogReader } from "../../log/mod.ts";
import { describeOwner } from "../../storage/mod.ts";
import { command, type MakeCommand } from "../_command.ts";
import { formatBytes, formatTable } from "../_terminal.ts";

const HELP = `
The bytes of the lag are an estimate. A deleted cursor no longer holds messages back. If a process
still has it open, its next commit fails.

Examples:
  basalt cursors data/log
      a table of the cursors
  basalt cursors data/log --delete billing
      delete a cursor`;

/** `basalt cursors`: lists or deletes the cursors of a log. */
export const cursors: MakeCommand = (console) =>
  command(
    "cursors",
    "List the cursors of a log: their positions, what is left to read, and the processes that have them open.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .option("--delete <name>", "delete this cursor")
    .option("--json", "print a JSON object for each cursor")
    .action(async (
      dir: string,
      { delete: name, json }: { delete?: string; json?: true },
    ) => {
      const reader = new LogReader(dir);
      if (name !== undefined && !await reader.deleteCursor(name)) {
        throw new Deno.errors.NotFound(`No cursor '${name}' of log '${dir}'`);
      }
      const found = await reader.cursors();
      if (json) { for (const each of found) console.json(each); }
      else if (found.length === 0) console.line("no cursors");
      else console.line(cursorTable(found, console.columns));
    });

/** Formats cursors as a table. */
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
