/** The table in a Markdown file. */
import { type Machine, machineLines } from "../machine.ts";
import type { Row, Verdict } from "../row.ts";
import { markdownTable } from "./table.ts";

const BEGIN = "<!-- table: begin -->";
const END = "<!-- table: end -->";

/**
 * Writes the machine and the table to a file: between its markers if it has them, or as its whole
 * content.
 */
export function writeMarkdown(
  path: string,
  machine: Machine,
  rows: readonly Row[],
  verdict: Verdict,
  notes: readonly string[],
): void {
  const parts = [
    BEGIN,
    "",
    ...machineLines(machine).map((line) => `- ${line}`),
    "",
    markdownTable(rows, verdict),
    "",
    ...notes.length === 0 ? [] : [...notes.map((note) => `- ${note}`), ""],
    END,
  ];
  const section = parts.join("\n");
  let text = "";
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  const whole = begin >= 0 && end > begin
    ? text.slice(0, begin) + section + text.slice(end + END.length)
    : `${section}\n`;
  Deno.writeTextFileSync(path, whole);
}
