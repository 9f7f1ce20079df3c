/** What ingest refuses, and how it continues. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { canMount } from "../machine.ts";
import { ALL, FILES } from "../permissions.ts";
import { basalt, Directory, PROGRAM, waitFor, withMounts } from "./_support.ts";

const encoder = new TextEncoder();

Deno.test(
  "basalt ingest refuses files of the log itself, whatever their path",
  { ignore: !ALL },
  async () => {
    using dir = new Directory();
    const log = dir.file("log");
    await basalt(["ingest", "-", "--into", log], encoder.encode("a\nb\n"));
    const own = `${log}/00000000000000000000.log`;
    Deno.writeTextFileSync(`${log}/notes.txt`, "x\n");
    Deno.symlinkSync(own, dir.file("link"));
    Deno.linkSync(own, dir.file("hard"));
    Deno.symlinkSync(log, dir.file("other"));
    for (
      const [file, into] of [
        [own, log],
        [`${log}/notes.txt`, log],
        [dir.file("link"), log],
        [dir.file("hard"), log],
        [own, dir.file("other")],
        [`${dir.file("other")}/00000000000000000000.index`, `${log}/`],
      ] as const
    ) {
      const { code, out, errors } = await basalt([
        "ingest",
        file,
        "--into",
        into,
      ]);
      assertEquals([code, out], [1, ""], file);
      assertStringIncludes(errors, file);
      assertStringIncludes(errors, "it is a file in the log's directory");
    }
    Deno.removeSync(dir.file("hard"));
    const piped = await new Deno.Command("sh", {
      args: [
        "-c",
        `exec "$@" < ${own}`,
        "sh",
        Deno.execPath(),
        ...PROGRAM,
        "ingest",
        "-",
        "--into",
        log,
      ],
    }).output();
    assertEquals(piped.code, 1);
    assertStringIncludes(
      new TextDecoder().decode(piped.stderr),
      "Cannot ingest standard input",
    );
    assertEquals((await basalt(["read", log, "--raw"])).out, "a\nb\n");
    Deno.copyFileSync(own, dir.file("copy"));
    assertEquals(
      (await basalt(["ingest", dir.file("copy"), "--into", log])).code,
      0,
    );
  },
);

Deno.test(
  "basalt ingest --resume appends the lines that the log does not hold, once",
  { ignore: !FILES },
  async () => {
    using dir = new Directory();
    const log = dir.file("log");
    const ingest = async (text: string, ...flags: string[]) => {
      const into = ["ingest", "-", "--into", log, ...flags];
      const { code, out, errors } = await basalt(into, encoder.encode(text), 7);
      return { code, out, errors };
    };
    const raw = async (): Promise<string> =>
      (await basalt(["read", log, "--raw"])).out;
    const lines = Array.from({ length: 100 }, (_, i) => `line ${i}\n`);
    const all = lines.join("");

    assertEquals((await ingest("before\n")).code, 0);
    // An interruption after any number of lines.
    for (const count of [0, 1, 2, 50, 99, 100, 100]) {
      const text = lines.slice(0, count).join("");
      assertEquals((await ingest(text, "--resume", "1")).code, 0);
      assertEquals(await raw(), `before\n${text}`);
    }
    assertEquals((await ingest(`${all}more\n`, "--resume", "1")).code, 0);
    assertEquals(await raw(), `before\n${all}more\n`);

    const other = await ingest(`${all}other\n`, "--resume", "1");
    assertEquals(other.code, 1);
    assertStringIncludes(
      other.errors,
      "message 101 of the log would be line 101",
    );
    assertStringIncludes(other.errors, "has another line there");
    const short = await ingest("line 0\n", "--resume", "1");
    assertStringIncludes(short.errors, "has no such line");
    const beyond = await ingest("x\n", "--resume", "103");
    assertStringIncludes(beyond.errors, "ends before 102");
    assertEquals(await raw(), `before\n${all}more\n`);
  },
);

Deno.test(
  "basalt ingest reports after Ctrl-C that it dropped an incomplete line",
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
    await stdin.write(encoder.encode("whole\nhalf"));
    await waitFor(async () =>
      (await basalt(["read", log, "--raw"])).out === "whole\n"
    );
    child.kill("SIGINT");
    const { code, stderr } = await child.output();
    await stdin.close().catch(() => {});
    const said = new TextDecoder().decode(stderr);
    assertEquals(code, 130, said);
    assertStringIncludes(
      said,
      "1 message of 6 B from 'standard input' durable",
    );
    assertStringIncludes(
      said,
      "; 4 B of an incomplete line dropped. To continue",
    );
    assertEquals((await basalt(["read", log, "--raw"])).out, "whole\n");
  },
);

const MOUNTS = canMount("mount -t tmpfs none $0");

Deno.test(
  `basalt ingest of a stream waits while the disk is full, reports it, and loses nothing${
    MOUNTS ? "" : " (skipped: needs mounts)"
  }`,
  { ignore: !MOUNTS },
  async () => {
    using dir = new Directory();
    const lines = Array.from(
      { length: 50_000 },
      (_, i) => `line ${i} ${"x".repeat(90)}\n`,
    );
    Deno.writeTextFileSync(dir.file("input"), lines.join(""));
    Deno.mkdirSync(dir.file("disk"));
    const script = `
      mount -t tmpfs -o size=24m none disk || exit 9
      head -c 20m /dev/zero > disk/filler
      ( cat input; until [ -e done ]; do sleep 0.1; done; echo last ) |
        "$@" ingest - --into disk/log > said 2> errors &
      for i in $(seq 100); do grep -q 'Waiting for room' errors && break; sleep 0.1; done
      grep -c 'Waiting for room' errors
      rm disk/filler
      for i in $(seq 100); do grep -q 'room again' errors && break; sleep 0.1; done
      touch done
      wait $!; echo $?
      "$@" read disk/log --raw > raw; echo $?
    `;
    const [out, failures] = await withMounts(dir, script);
    const errors = Deno.readTextFileSync(dir.file("errors"));
    assertEquals(
      out,
      "1\n0\n0\n",
      failures + errors,
    );
    assert(
      /^ENOSPC.*Waiting for room.*\nThere is room again\n$/s.test(errors),
      errors,
    );
    assertEquals(
      Deno.readTextFileSync(dir.file("raw")),
      `${lines.join("")}last\n`,
    );
  },
);
