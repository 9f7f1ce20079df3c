import type { Command } from "commander";
import { type Capabilities, probePath } from "../../storage/mod.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { formatTable } from "../terminal.ts";

const HELP = `
In a directory a file is made and removed again; a file is opened for reading.

Examples:
  basalt probe data
      what a log in this directory would get
  basalt probe disk.img --json
      the same of a file, as JSON`;

/** `basalt probe`: what files can do at a place. */
export function probe(console: Console): Command {
  return command(
    "probe",
    "Tell what files can do at a place, and why: whether I/O is direct, the alignments, the engine.",
    HELP,
  )
    .argument("<path>", "a file or a directory")
    .option("--json", "the capabilities as JSON")
    .action(async (path: string, options: { json?: true }) => {
      const capabilities = await probePath(path);
      if (options.json) console.json({ path, ...capabilities });
      else console.line(table(path, capabilities, console.columns));
    });
}

const NAMES: Readonly<Record<Capabilities["names"], string>> = {
  durable: "a new file survives a power cut once its directory is synced",
  unsynced: "directories have no fsync: a power cut may lose a new file",
  unknown: "no directory was synced",
};

function table(
  path: string,
  found: Capabilities,
  columns: number | undefined,
): string {
  return [
    path,
    formatTable(
      [
        ["property", "value", "why"],
        ["tier", found.tier, found.tierReason],
        [
          "alignment",
          `${found.memoryAlignment} / ${found.offsetAlignment} / ${found.readOffsetAlignment}`,
          `memory / writes / reads, in bytes; ${found.alignmentReason}`,
        ],
        [
          "physical block",
          String(found.physicalBlock),
          found.physicalBlockReason,
        ],
        ["names", found.names, NAMES[found.names]],
        ["engine", found.engine, found.engineReason],
        [
          "filesystem",
          found.filesystem,
          found.copyOnWrite
            ? "copy-on-write: nothing is prepared ahead"
            : "blocks stay where they are when written again",
        ],
      ],
      ["left", "left", "left"],
      columns,
    ),
  ].join("\n");
}
