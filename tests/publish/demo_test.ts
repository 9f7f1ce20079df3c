/** The output of `task demo`, which leaves no file however it ends. */
import { assert, assertEquals } from "@std/assert";
import {
  formatBars,
  formatKill,
  formatRate,
} from "../../bench/demo/picture.ts";
import { ALL } from "../permissions.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const COMMAND = [
  Deno.execPath(),
  "run",
  "--quiet",
  "--allow-all",
  `${ROOT}tools/demo.ts`,
];

/** Runs a command in a directory of its own, which must be empty at the end. */
async function run(
  command: string[],
  meanwhile: (child: Deno.ChildProcess, dir: string) => Promise<void> = () =>
    Promise.resolve(),
): Promise<{ code: number; text: string; errors: string }> {
  const dir = Deno.makeTempDirSync({ prefix: "basalt_demo_" });
  try {
    const child = new Deno.Command(command[0]!, {
      args: command.slice(1),
      cwd: dir,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await meanwhile(child, dir);
    const { code, stdout, stderr } = await child.output();
    assertEquals([...Deno.readDirSync(dir)], []);
    const decoder = new TextDecoder();
    return {
      code,
      text: decoder.decode(stdout),
      errors: decoder.decode(stderr),
    };
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: !ALL, fn });
}

test("demo prints a picture that fits 80 columns, without colors or names of files", async () => {
  const { code, text, errors } = await run([...COMMAND, "--seconds=0.05"]);
  assertEquals(code, 0, errors);
  assert(text.endsWith("\n\nNothing acknowledged is lost.\n"), text);
  for (const line of text.split("\n")) assert(line.length <= 80, line);
  for (const hidden of ["\x1b", "basalt-demo"]) assert(!text.includes(hidden));
  assert(text.includes("█"), text);
  assertEquals([...text.matchAll(/^ {2}[123] .*, 0 lost$/gm)].length, 3);
});

test("demo --json prints the figures of a file's lines", async () => {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(file, "one\ntwo\nthree");
    const { code, text } = await run([
      ...COMMAND,
      "--seconds=0.01",
      "--json",
      file,
    ]);
    const { lines, appended, killed } = JSON.parse(text);
    assertEquals([code, killed.length], [0, 3]);
    assert(lines.comparedLines >= 3);
    for (const { perSecond } of [...lines.rates, ...appended]) {
      assert(perSecond > 0);
    }
  } finally {
    Deno.removeSync(file);
  }
});

test("demo ends with Ctrl-C, also while a writer runs, and leaves no files", async () => {
  for (const part of ["1", "6"]) {
    const { code } = await run(
      [...COMMAND, "--seconds=0.3"],
      async (child, dir) => {
        while (!isThere(dir, part)) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
        child.kill("SIGINT");
      },
    );
    assertEquals(code, 130);
  }
});

/** Whether the demonstration has created its directory with this number. */
function isThere(dir: string, part: string): boolean {
  for (const { name } of Deno.readDirSync(dir)) {
    if ([...Deno.readDirSync(`${dir}/${name}`)].some((e) => e.name === part)) {
      return true;
    }
  }
  return false;
}

test("demo ends quietly when its output is closed, and leaves no files", async () => {
  const script = '"$@" --seconds=0.05 | head -1';
  const { code, text, errors } = await run([
    "sh",
    "-c",
    script,
    "sh",
    ...COMMAND,
  ]);
  assertEquals([code, text.split("\n").length], [0, 2]);
  assert(!/demo:|rror/.test(errors), errors);
});

test("demo says what is wrong with its arguments", async () => {
  const missing = await run([...COMMAND, "no-such-file"]);
  assertEquals(missing.code, 1);
  assert(/demo: .*no-such-file/.test(missing.errors), missing.errors);
  const zero = await run([...COMMAND, "--seconds=0"]);
  assertEquals(zero.code, 2);
  assert(zero.errors.includes("--seconds"), zero.errors);
});

Deno.test("formatBars() draws in proportion, in any width", () => {
  const rates = [
    { name: "fast", perSecond: 2_000_000 },
    { name: "half", perSecond: 1_000_000 },
    { name: "none", perSecond: 0 },
  ];
  for (const columns of [20, 40, 80, 200]) {
    const text = formatBars("Title", "a second", rates, {
      columns,
      hasColors: false,
    });
    const [fast, half, none] = text.split("\n").slice(-3)
      .map((line) => line.match(/[█-▏]/g)!.length);
    assertEquals([Math.ceil(fast! / 2), 1], [half, none]);
    assert(text.split("\n").every((line) => line.length <= columns), text);
  }
});

Deno.test("formatKill() fits a narrow terminal, and uses colors only if allowed", () => {
  const kill = { acknowledged: 1_234_567, found: 1_234_567, lost: 1 };
  const narrow = formatKill(1, kill, { columns: 40, hasColors: false });
  assert(narrow.length <= 40 && narrow.endsWith("1 lost"), narrow);
  const colored = formatKill(1, kill, { columns: 80, hasColors: true });
  assert(colored.endsWith("\x1b[31m1 lost\x1b[0m"), colored);
});

Deno.test("formatRate() keeps three digits", () => {
  const rates = [0, 999, 999.6, 1234, 99_960, 999_600, 1.5e9];
  assertEquals(rates.map(formatRate), [
    "0",
    "999",
    "1.00 k",
    "1.23 k",
    "100 k",
    "1.00 M",
    "1.50 G",
  ]);
});
