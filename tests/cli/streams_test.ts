/** What can happen to the program's streams: they are full, closed, or a narrow terminal. */
import { assert, assertEquals } from "@std/assert";
import unicodeWidth from "string-width";
import fc from "fast-check";
import { Console } from "../../lib/cli/_console.ts";
import { cutToWidth, Progress } from "../../lib/cli/_terminal.ts";
import { hasProgram } from "../machine.ts";
import { ALL } from "../permissions.ts";
import { basalt, Directory, PROGRAM } from "./_support.ts";

const DENO = Deno.permissions.querySync({ name: "read" }).state === "granted"
  ? Deno.execPath()
  : "deno";
const NON_BLOCKING = [
  DENO,
  "run",
  "--quiet",
  "--no-check",
  "--allow-all",
  new URL("non_blocking_child.ts", import.meta.url).pathname,
];

/** Runs a shell script in which `nb FD ARG...` is the program with a non-blocking stream. */
async function shell(dir: Directory, script: string): Promise<string> {
  const quoted = (words: string[]): string =>
    words.map((word) => `'${word}'`).join(" ");
  const { stdout, stderr } = await new Deno.Command("bash", {
    args: [
      "-c",
      `basalt() { ${quoted([DENO, ...PROGRAM])} "$@"; }
       nb() { fd=$1; shift; ${quoted(NON_BLOCKING)} $fd ${
        quoted([DENO, ...PROGRAM])
      } "$@"; }
       ${script}`,
    ],
    cwd: dir.path,
  }).output();
  const text = new TextDecoder();
  return text.decode(stdout) + text.decode(stderr);
}

Deno.test(
  "basalt read and ingest wait for non-blocking standard streams, and lose nothing",
  { ignore: !ALL },
  async () => {
    using dir = new Directory();
    const said = await shell(
      dir,
      `seq 1 300000 > in
       basalt ingest in --into log > /dev/null || echo failed
       ( nb 1 read log --raw; echo $? > code ) | ( sleep 1; cat ) > out
       cmp in out; cat code
       ( nb 1 read log --json --count 100000; echo $? > code ) | ( sleep 1; cat ) | wc -l; cat code
       ( seq 1 1000; sleep 0.5; seq 1001 2000 ) | nb 0 ingest - --into log2 > /dev/null; echo $?
       basalt read log2 --raw | cmp - <(seq 1 2000)
       ( nb 2 read gone; echo $? > code ) 2>&1 | ( sleep 0.2; cat ) | grep -c ENOENT; cat code`,
    );
    assertEquals(said, "0\n100000\n0\n0\n1\n1\n");
  },
);

Deno.test(
  "basalt reports that its output cannot be written, and continues without standard error",
  { ignore: !ALL },
  async () => {
    using dir = new Directory();
    const said = await shell(
      dir,
      `printf 'a\nb\n' > in
       basalt ingest in --into log > /dev/null
       basalt read log > /dev/full 2> errors; echo $?
       grep -ci 'no space' errors; grep -c '    at ' errors
       basalt read log --raw 2>&-
       basalt read gone 2> >(true); echo $?`,
    );
    assertEquals(said, "1\n1\n0\na\nb\n1\n");
  },
);

Deno.test("Console keeps its buffer until it is written", () => {
  let isFull = true;
  const written: number[] = [];
  const output = {
    writeSync(bytes: Uint8Array): number {
      if (isFull && written.length === 2) throw new Error("full");
      written.push(bytes[0]!);
      return 1;
    },
  };
  const console = new Console({
    input: { read: () => Promise.resolve(null) },
    output,
    errors: output,
    interactive: false,
  });
  console.write(new Uint8Array([1, 2, 3, 4]));
  try {
    console.flush();
  } catch {
    isFull = false;
  }
  console.flush();
  assertEquals(written, [1, 2, 3, 4]);
});

Deno.test("Progress drops what a terminal does not take, without an error", () => {
  for (const failure of [Deno.errors.WouldBlock, Deno.errors.BrokenPipe]) {
    let writes = 0;
    const progress = new Progress(
      {
        writeSync() {
          writes++;
          throw new failure();
        },
      },
      true,
      () => 20,
    );
    progress.show("appending");
    progress.end();
    assertEquals(writes, 2);
  }
});

Deno.test("cutToWidth() never exceeds the columns, and cuts only longer text", () => {
  const text = fc.array(
    fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.constantFrom(
        "日本語",
        "ｆｕｌｌ",
        "한국",
        "👩‍👩‍👧",
        "🇩🇪",
        "e\u0301",
        "\x1b[31m",
        "\n",
      ),
    ),
  ).map((parts) => parts.join(""));
  fc.assert(
    fc.property(text, fc.integer({ min: 2, max: 40 }), (text, columns) => {
      const cut = cutToWidth(text, columns);
      assert(unicodeWidth(cut) <= columns, JSON.stringify(cut));
      // deno-lint-ignore no-control-regex
      assert(!/[\x00-\x1f\x7f-\x9f]/.test(cut));
    }),
    { numRuns: 2000 },
  );
  assertEquals(cutToWidth("12345", 5), "12345");
  assertEquals(cutToWidth("123456", 5), "1234…");
  assertEquals(cutToWidth("日本語", 6), "日本語");
  assertEquals(cutToWidth("日本語", 5), "日本…");
  assertEquals(cutToWidth("a\x1b[31m", 10), "a?[31m");
});

const SCRIPT = hasProgram("script");

Deno.test(
  `Progress takes one line of a narrow terminal${
    SCRIPT ? "" : " (skipped: needs util-linux's script)"
  }`,
  { ignore: !SCRIPT },
  async () => {
    using dir = new Directory();
    Deno.writeTextFileSync(
      dir.file("run.sh"),
      `stty cols 24
       mkfifo 日本語日本語日本語
       ( for i in 1 2 3 4 5; do echo line; sleep 0.15; done > 日本語日本語日本語 ) &
       ${[DENO, ...PROGRAM].map((word) => `'${word}'`).join(" ")} \\
         ingest 日本語日本語日本語 --into log > said; echo "code $?"`,
    );
    await new Deno.Command("script", {
      args: ["--quiet", "--flush", "--command", "sh run.sh", "shown"],
      cwd: dir.path,
      stdin: "null",
      stdout: "null",
    }).output();
    const shown = Deno.readTextFileSync(dir.file("shown"));
    const lines = shown.split("\r\x1b[K").slice(1);
    assert(lines.length >= 3, shown);
    const last = lines.pop()!;
    for (const line of lines) {
      assert(unicodeWidth(line) < 24 && line.endsWith("…"), line);
    }
    assert(last.includes("code 0"), last);
    const { out } = await basalt(["read", dir.file("log"), "--raw"]);
    assertEquals(out, "line\n".repeat(5));
  },
);
