/** Help texts and tables on terminals of different widths. */
import { assert, assertEquals } from "@std/assert";
import { COMMANDS } from "../../lib/cli/_run.ts";
import { Console } from "../../lib/cli/_console.ts";
import { formatTable } from "../../lib/cli/_terminal.ts";
import { Log } from "../../lib/log/mod.ts";
import { FILES } from "../permissions.ts";
import { basalt, Directory } from "./_support.ts";

/** Runs a command, with a terminal as standard output if `columns` is given. */
async function linesOf(args: string[], columns?: number): Promise<string[]> {
  const { out } = await basalt(args, undefined, undefined, columns);
  return out.split("\n");
}

/** Returns the names of the commands. */
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
  Deno.test(`basalt --help fits ${columns ?? "no"} columns of a terminal, except command lines`, async () => {
    for (const args of [[], ...names().map((name) => [name])]) {
      for (const line of await linesOf([...args, "--help"], columns)) {
        // An example is never wrapped.
        if (/^ +(basalt|find|tail) /.test(line)) continue;
        assert(line.length <= most!, `${args}: ${line}`);
      }
    }
  });
}

Deno.test(
  "basalt inspect lists cells where a table is wider than the terminal, and only there",
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
    assertEquals(cells.slice(0, 2), ["segment     0", "messages    1"]);
    assert(cells.every((line) => !line.startsWith("prepared")));
  },
);

Deno.test(
  "reports, tables and messages fit a narrow terminal, except words that are longer",
  { ignore: !FILES },
  async () => {
    using dir = new Directory();
    const path = dir.file("log");
    {
      await using log = await Log.open(path);
      await log.appendDurable("a message that is longer than the terminal");
      await using _cursor = await log.cursor("billing");
    }
    for (const columns of [40, 80]) {
      for (
        const args of [
          ["read", path],
          ["cursors", path],
          ["inspect", path],
          ["verify", path],
          ["repair", path],
          ["retain", path, "--bytes", "1K", "--dry-run"],
          ["probe", dir.path],
          ["export", path, "--to", dir.file("to"), "--dry-run"],
        ]
      ) {
        const lines = await linesOf(args, columns);
        assert(lines.length > 1, `${args}`);
        for (const line of lines) {
          const isWord = !line.trimStart().replace(/^\w+( \w+)?  +/, "")
            .includes(" ");
          assert(line.length <= columns || isWord, `${args}: ${line}`);
        }
      }
    }
  },
);

Deno.test("formatTable() wraps texts in the last column, and lists cells where that is not enough", () => {
  const rows = [
    ["name", "count", "why"],
    ["one", "1", "because of several words"],
    ["three", "300", ""],
  ];
  const sides = ["left", "right", "left"] as const;
  assertEquals(
    formatTable(rows, sides),
    "name   count  why\n" +
      "one        1  because of several words\n" +
      "three    300",
  );
  const wide = [...rows, ["two", "20", "as it is longer than the others are"]];
  assertEquals(
    formatTable(wide, sides, 40),
    "name   count  why\n" +
      "one        1  because of several words\n" +
      "three    300\n" +
      "two       20  as it is longer than the\n" +
      "              others are",
  );
  assertEquals(
    formatTable(rows, sides, 20),
    "name   one\n" +
      "count  1\n" +
      "why    because of\n" +
      "       several words\n\n" +
      "name   three\n" +
      "count  300",
  );
});

Deno.test("Console.error() breaks lines at the columns of the terminal that shows errors", () => {
  for (
    const [interactive, expected] of [[true, "one two\nthree\n"], [
      false,
      "one two three\n",
    ]]
  ) {
    let shown = "";
    const console = new Console({
      input: { read: () => Promise.resolve(null) },
      output: { writeSync: (bytes) => bytes.length },
      errors: {
        writeSync(bytes) {
          shown += new TextDecoder().decode(bytes);
          return bytes.length;
        },
      },
      interactive: interactive === true,
      columns: () => 10,
    });
    console.error("one two three");
    assertEquals(shown, expected);
  }
});
