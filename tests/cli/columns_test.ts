/** Help texts and tables on terminals of different widths. */
import { assert, assertEquals } from "@std/assert";
import { COMMANDS } from "../../lib/cli/commands.ts";
import { Console } from "../../lib/cli/console.ts";
import { Log } from "../../lib/log/mod.ts";
import { FILES } from "../permissions.ts";
import { basalt, Directory } from "./_support.ts";

/** Runs a command whose standard output is a terminal, if `columns` are given. */
async function linesOf(args: string[], columns?: number): Promise<string[]> {
  const { out } = await basalt(args, undefined, undefined, columns);
  return out.split("\n");
}

/** Names of the commands. */
function names(): string[] {
  const nothing = { writeSync: (bytes: Uint8Array) => bytes.length };
  const console = new Console({
    input: { read: () => Promise.resolve(null) },
    output: nothing,
    errors: nothing,
    interactive: false,
  });
  return COMMANDS.map((make) => make(console).name());
}

for (
  const [columns, most] of [[40, 40], [80, 80], [200, 100], [undefined, 80]]
) {
  Deno.test(`--help fits ${columns ?? "no"} columns of a terminal, except command lines`, async () => {
    for (const args of [[], ...names().map((name) => [name])]) {
      for (const line of await linesOf([...args, "--help"], columns)) {
        // An example stays whole.
        if (/^ +(basalt|find|tail) /.test(line)) continue;
        assert(line.length <= most!, `${args}: ${line}`);
      }
    }
  });
}

Deno.test(
  "inspect lists cells where a table is wider than the terminal, and only there",
  {
    ignore: !FILES,
  },
  async () => {
    using dir = new Directory();
    const path = dir.file("log");
    {
      await using log = await Log.open(path);
      await log.appendDurable("one");
    }
    const segment = (lines: string[]) => lines.slice(lines.indexOf("") + 1);
    for (const columns of [undefined, 120]) {
      const [header] = segment(await linesOf(["inspect", path], columns));
      assert(header!.startsWith("segment  messages"), header);
    }
    const cells = segment(await linesOf(["inspect", path], 80));
    assertEquals(cells.slice(0, 2), ["segment        0", "messages       1"]);
    assert(cells.every((line) => !line.startsWith("prepared")));
  },
);
