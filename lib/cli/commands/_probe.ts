import { type Capabilities, probePath } from "../../storage/mod.ts";
import { command, type MakeCommand } from "../_command.ts";
import { formatTable } from "../_terminal.ts";

const HELP = `
In a directory it makes a file and removes it again. A file is opened for reading.

Examples:
  basalt probe data
      what a log in this directory would get
  basalt probe disk.img --json
      the same for a file, as JSON`;

/** `basalt probe`: shows what files can do in a directory. */
export const probe: MakeCommand = (console) =>
  command(
    "probe",
    "Show what files can do in a directory, and why: direct I/O, alignments, durable names and the engine.",
    HELP,
  )
    .argument("<path>", "a file or a directory")
    .option("--json", "print the capabilities as JSON")
    .action(async (path: string, { json }: { json?: true }) => {
      const found = await probePath(path);
      if (json) return console.json({ path, ...found });
      console.line(path);
      const sides = ["left", "left", "left"] as const;
      console.line(formatTable(rowsOf(found), sides, console.columns));
    });

const NAMES: Readonly<Record<Capabilities["names"], string>> = {
  durable: "a new file survives a power cut once its directory is synced",
  unsynced: "directories have no fsync: a power cut may lose a new file",
  unknown: "no directory was synced",
};

function rowsOf(found: Capabilities): string[][] {
  const { memoryAlignment, offsetAlignment, readOffsetAlignment } = found;
  return [
    ["property", "value", "why"],
    ["tier", found.tier, found.tierReason],
    [
      "alignment",
      `${memoryAlignment} / ${offsetAlignment} / ${readOffsetAlignment}`,
      `memory / writes / reads, in bytes; ${found.alignmentReason}`,
    ],
    ["physical block", String(found.physicalBlock), found.physicalBlockReason],
    ["names", found.names, NAMES[found.names]],
    ["engine", found.engine, found.engineReason],
    [
      "filesystem",
      found.filesystem,
      found.copyOnWrite
        ? "copy-on-write: nothing is prepared ahead"
        : "blocks stay in place when they are written again",
    ],
  ];
}
