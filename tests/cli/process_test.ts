/** The program as its users start it: signals, pipes, exit codes. */
import { assert, assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import { basalt, Directory, PROGRAM, waitFor } from "./_support.ts";

/** Returns the line with this number. */
function line(i: number): string {
  return `line ${i} ${"x".repeat(i % 100)}\n`;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(
    `${signal} ends basalt ingest cleanly: the log is closed, and holds what was reported`,
    { ignore: !ALL },
    async () => {
      using dir = new Directory();
      const log = dir.file("log");
      const child = new Deno.Command(Deno.execPath(), {
        args: [...PROGRAM, "ingest", "-", "--into", log],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const stdin = child.stdin.getWriter();
      let ended = false;
      const feeding = (async () => {
        for (let i = 0; !ended; i += 1000) {
          let text = "";
          for (let n = i; n < i + 1000; n++) text += line(n);
          // The pipe is closed when the child has ended.
          await stdin.write(new TextEncoder().encode(text)).catch(() => {
            ended = true;
          });
        }
      })();
      await waitFor(async () =>
        (await basalt(["read", log, "--count", "1"])).out.length > 0
      );
      child.kill(signal);
      const { code, stdout, stderr } = await child.output();
      ended = true;
      await feeding;
      await stdin.close().catch(() => {});
      const said = new TextDecoder().decode(stderr);
      assertEquals(code, 130, said);
      assertEquals(stdout.length, 0);
      const messages = Number(/^Interrupted: (\d+) messages/.exec(said)?.[1]);
      assert(messages > 0, said);
      const { closed, nextOffset } = JSON.parse(
        (await basalt(["inspect", log, "--json"])).out,
      );
      assertEquals([closed, nextOffset], [true, messages]);
      const { out } = await basalt(["read", log, "--raw"]);
      let expected = "";
      for (let i = 0; i < messages; i++) expected += line(i);
      assert(out === expected, "the lines are not the input");
      assertEquals((await basalt(["verify", log])).code, 0);
      assert(
        / To continue, run the same command with --resume 0\n$/.test(said),
        said,
      );
      // All lines once more, as a user would repeat them to resume.
      let all = "";
      for (let i = 0; i < messages + 1000; i++) all += line(i);
      Deno.writeTextFileSync(dir.file("all"), all);
      const resumed = await basalt(
        ["ingest", dir.file("all"), "--into", log, "--resume", "0", "--json"],
      );
      assertEquals(JSON.parse(resumed.out).messages, 1000, resumed.errors);
      assert((await basalt(["read", log, "--raw"])).out === all);
    },
  );
}

Deno.test(
  "basalt read and --help end quietly when their output is closed",
  { ignore: !ALL },
  async () => {
    using dir = new Directory();
    const log = dir.file("log");
    let text = "";
    for (let i = 0; i < 50_000; i++) text += line(i);
    await basalt(
      ["ingest", "-", "--into", log],
      new TextEncoder().encode(text),
    );
    for (const flag of ["--raw", "--json", "--count=49999"]) {
      const script = `"$@" read ${log} ${flag} | head -c 10 > ${
        dir.file("head")
      }; echo "\${PIPESTATUS[0]}"`;
      const { stdout, stderr } = await new Deno.Command("bash", {
        args: ["-c", script, "bash", Deno.execPath(), ...PROGRAM],
      }).output();
      assertEquals(new TextDecoder().decode(stderr), "", flag);
      assertEquals(new TextDecoder().decode(stdout), "0\n", flag);
      assertEquals(Deno.statSync(dir.file("head")).size, 10);
    }
  },
);

Deno.test(
  "basalt prints errors on standard error, and its exit codes reach the shell",
  { ignore: !ALL },
  async () => {
    for (
      const [args, expected] of [[["read"], 2], [["read", "/gone"], 1], [[
        "--version",
      ], 0]] as const
    ) {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [...PROGRAM, ...args],
        stdin: "null",
      }).output();
      assertEquals(code, expected);
      assertEquals(stdout.length > 0, expected === 0);
      assertEquals(stderr.length > 0, expected !== 0);
    }
  },
);

Deno.test(
  "deno task takes paths relative to the directory in which it is called, and prints help",
  { ignore: !ALL },
  async () => {
    using dir = new Directory();
    Deno.mkdirSync(dir.file("below"));
    Deno.writeTextFileSync(dir.file("below/input"), "a\nb\n");
    const task = async (...args: string[]): Promise<string> => {
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "--quiet", "--config", config, ...args],
        cwd: dir.file("below"),
        stdin: "null",
        // npm sets it for what it runs. Deno sets it unless it is already set.
        env: { INIT_CWD: dir.file("below") },
      }).output();
      const text = new TextDecoder();
      assertEquals(code, 0, text.decode(stderr));
      return text.decode(stdout);
    };
    const said = await task("basalt", "ingest", "input", "--into", "../log");
    assert(said.startsWith("2 messages of 4 B from 'input' durable"), said);
    assert(Deno.statSync(dir.file("log")).isDirectory);
    for (const name of ["test", "compare", "embed", "demo", "torture"]) {
      const help = await task(name, "--help");
      assert(/^Usage: (deno task )?\w+ \[/.test(help), help);
    }
    assertEquals([...Deno.readDirSync(dir.file("below"))].length, 1);
  },
);
