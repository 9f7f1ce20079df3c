import { Command } from "commander";
import type { Console } from "./_console.ts";
import { wrap } from "./_terminal.ts";

/** Makes a command for one run. `_run.ts` lists those of `commands/`. */
export type MakeCommand = (console: Console) => Command;

/**
 * Makes a command.
 *
 * @param help The end of its help. Lines fit the terminal, except command lines, which are indented
 *   by two spaces.
 */
export function command(
  name: string,
  description: string,
  help: string,
): Command {
  const made = new Command(name).description(description);
  return made.addHelpText("after", () => {
    const columns = made.configureOutput().getOutHelpWidth!();
    return help.replace(/(?<=\S)\n(?=\S)/g, " ").replace(
      /^( {6})?\S.*$/gm,
      (line, indent = "") => wrap(line, columns, indent),
    );
  });
}
