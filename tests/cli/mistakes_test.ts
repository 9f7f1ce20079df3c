/** Mistakes of a new user. Each command runs in another process, several at a time. */
import { assert, assertEquals } from "@std/assert";
import { canMount } from "../machine.ts";
import { ALL } from "../permissions.ts";
import { filesOf, make, TIME } from "../log/recovery/_support.ts";
import { segment } from "../log/_support.ts";
import { basalt, Directory, PROGRAM, waitFor } from "./_support.ts";

interface Result {
  code: number;
  out: string;
  errors: string;
}

const ROOT = new URL("../..", import.meta.url).pathname;

/** A command, its exit code, and a part of its output. */
type Case = [args: string[], code: number, says: RegExp];

/** Runs commands in another process with these permissions, started by another command. */
async function batch(
  commands: readonly string[][],
  flags: readonly string[],
  prefix: readonly string[] = [],
): Promise<Result[]> {
  const [command, ...args] = [
    ...prefix,
    Deno.execPath(),
    "run",
    "--no-prompt",
    "--quiet",
    "--no-check",
    ...flags,
    `${ROOT}tests/cli/batch_child.ts`,
    JSON.stringify(commands),
  ];
  const { success, stdout, stderr } = await new Deno.Command(command!, {
    args,
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  assert(success, text.decode(stderr));
  return JSON.parse(text.decode(stdout));
}

async function check(
  cases: readonly Case[],
  flags: readonly string[],
  prefix?: readonly string[],
): Promise<void> {
  const results = await batch(cases.map(([args]) => args), flags, prefix);
  for (const [i, [args, code, says]] of cases.entries()) {
    const { out, errors, ...result } = results[i]!;
    const what = `basalt ${args.join(" ")}: ${result.code}: ${out}${errors}`;
    assertEquals(result.code, code, what);
    assert(says.test(out + errors), `${says}: ${what}`);
    assert(!/\n\s+at /.test(errors), what);
    // Results are on standard output, errors on standard error.
    if (code === 2) assertEquals(out, "", what);
  }
}

/** Returns the files in a directory with their bytes. */
function contents(dir: string): Map<string, string> {
  return new Map(
    [...Deno.readDirSync(dir)].filter(({ isFile }) => isFile).map((
      { name },
    ) => [
      name,
      Deno.readFileSync(`${dir}/${name}`).toHex(),
    ]),
  );
}

/** Makes a directory with these files of a log. */
function logOf(
  dir: Directory,
  name: string,
  files: Record<string, Uint8Array>,
): string {
  Deno.mkdirSync(dir.file(name));
  for (const [file, bytes] of Object.entries(files)) {
    Deno.writeFileSync(`${dir.file(name)}/${file}`, bytes);
  }
  return dir.file(name);
}

const TIMES = (offset: number): number => TIME + offset;
const FIRST = make(0, [3, 4], TIMES);
const SECOND = make(2, [5], TIMES);

Deno.test(
  "basalt ends with exit code 2 on wrong use, and says what is right",
  { ignore: !ALL },
  async () => {
    await check([
      [[], 2, /Usage: basalt/],
      [["foo"], 2, /unknown command 'foo'/],
      [["inges"], 2, /Did you mean ingest/],
      [["ingest", "x"], 2, /--into <dir>.*basalt ingest --help/s],
      [["ingest", "--into", "x"], 2, /missing required argument 'file'/],
      [["read"], 2, /missing required argument 'dir'/],
      [["read", "a", "b"], 2, /too many arguments/],
      [["read", "a", "--nope"], 2, /unknown option '--nope'/],
      [["read", "a", "--from", "-1"], 2, /integer from 0/],
      [["read", "a", "--from", "1.5"], 2, /integer from 0/],
      [["read", "a", "--count", "1e3"], 2, /integer from 0/],
      [["read", "a", "--since", "yesterday"], 2, /Give a date/],
      [
        ["read", "a", "--from", "1", "--since", "2026-01-01"],
        2,
        /cannot be used with/,
      ],
      [["read", "a", "--raw", "--json"], 2, /cannot be used with/],
      [["--help"], 0, /ingest access\.log/],
      ...["ingest", "read", "inspect", "verify", "repair", "probe"].map(
        (
          name,
        ): Case => [[name, "--help"], 0, /Examples:/],
      ),
    ], []);
  },
);

Deno.test("basalt names a missing permission", { ignore: !ALL }, async () => {
  using dir = new Directory();
  const input = dir.file("input");
  Deno.writeTextFileSync(input, "a\n");
  const log = dir.file("log");
  const reads: Case[] = ["read", "inspect", "verify", "repair", "probe"]
    .map((name) => [[name, dir.path], 1, /Requires read access/]);
  await check(
    [[["ingest", input, "--into", log], 1, /Requires read access/], ...reads],
    ["--allow-ffi"],
  );
  await check(
    [[
      ["ingest", input, "--into", log],
      1,
      /Requires write access.*--allow-write/,
    ]],
    ["--allow-ffi", "--allow-read"],
  );
  await check(
    [[["read", dir.path], 1, /Requires ffi access.*--allow-ffi/]],
    ["--allow-read", "--allow-write"],
  );
  assertEquals([...contents(dir.path).keys()], ["input"]);
});

Deno.test(
  "basalt ingest and read refuse files of other types by name, and create nothing",
  {
    ignore: !ALL,
  },
  async () => {
    using dir = new Directory();
    const input = dir.file("input");
    Deno.writeTextFileSync(input, "a\nb\n");
    Deno.writeTextFileSync(dir.file("empty"), "");
    Deno.mkdirSync(dir.file("nothing"));
    const into = ["--into", dir.file("log")];
    const fails: Case[] = [
      [["ingest", dir.path, ...into], 1, /it is a directory; give a file/],
      [["ingest", dir.file("gone"), ...into], 1, /[Nn]o such file.*gone/],
      [["ingest", `${input}\0x`, ...into], 1, /NUL|nul/],
      [["ingest", input, "--into", `${input}\0x`], 1, /NUL byte/],
      [["ingest", input, "--into", input], 1, /ENOTDIR.*input/],
      [["ingest", input, "--into", `${input}/log`], 1, /ENOTDIR.*input/],
      [["ingest", input, "--into", "/dev/null"], 1, /ENOTDIR.*\/dev\/null/],
      ...["read", "inspect", "verify", "repair"].flatMap((name): Case[] => [
        [[name, dir.file("gone")], 1, /ENOENT.*gone/],
        [[name, dir.file("nothing")], 1, /No segment of a log in.*nothing/],
        [[name, input], 1, /ENOTDIR.*input/],
        [[name, "/dev/null"], 1, /ENOTDIR/],
        [[name, `${input}\0x`], 1, /NUL byte/],
      ]),
      [["probe", dir.file("gone")], 1, /ENOENT.*gone/],
      [["probe", "/dev/null"], 1, /a character device/],
    ];
    await check(fails, ["--allow-all"]);
    assertEquals(
      [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort(),
      [
        "empty",
        "input",
        "nothing",
      ],
    );
    // Unusual, but right.
    await check([
      [["ingest", "/dev/null", "--into", dir.file("null")], 0, /0 messages/],
      [
        ["ingest", dir.file("empty"), "--into", dir.file("a/b/c")],
        0,
        /0 messages/,
      ],
      [["ingest", input, "--into", dir.file("a/b/c")], 0, /2 messages/],
      [["verify", dir.file("a/b/c")], 0, /2 good messages/],
      [["verify", dir.file("null")], 0, /0 good messages/],
    ], ["--allow-all"]);
  },
);

Deno.test(
  "basalt ingests a FIFO, and refuses one as a segment",
  { ignore: !ALL },
  async () => {
    using dir = new Directory();
    const fifo = dir.file("fifo");
    const log = logOf(dir, "log", filesOf(FIRST));
    for (const path of [fifo, `${log}/${segment(2)}.log`]) {
      assert(
        (await new Deno.Command("mkfifo", { args: [path] }).output()).success,
      );
    }
    await using writer = new Deno.Command("sh", {
      args: ["-c", `printf 'a\\nb' > ${fifo}`],
    }).spawn();
    await check([
      [["ingest", fifo, "--into", dir.file("made")], 0, /2 messages/],
      [["read", dir.file("made"), "--raw"], 0, /^a\nb$/],
      [["probe", fifo], 1, /a FIFO/],
      [
        ["verify", log],
        1,
        /\.log: byte 0, .*: name: .*it must be a regular file/,
      ],
      [["read", log, "--count", "2"], 1, /it must be a regular file/],
      [["inspect", log], 0, /not regular files, opening refuses them/],
    ], ["--allow-all"]);
    await writer.status;
  },
);

Deno.test(
  "basalt commands that write refuse damaged logs, and leave them as they are",
  { ignore: !ALL },
  async () => {
    using dir = new Directory();
    const three = new Uint8Array([1, 2, 3]);
    const logs: [
      name: string,
      files: Record<string, Uint8Array>,
      says: RegExp,
    ][] = [
      [
        "three",
        { ...filesOf(FIRST, SECOND), [`${segment(0)}.log`]: three },
        /corrupt at byte 3, offset 0: it has 3 bytes, but its index describes/,
      ],
      [
        "lone",
        { [`${segment(0)}.index`]: FIRST.index },
        /its '\.log' is missing/,
      ],
      [
        "overlap",
        filesOf(FIRST, make(1, [9], () => 2 * TIME)),
        /the next segment begins at offset 1/,
      ],
      [
        "gap",
        filesOf(FIRST, make(7, [9], TIMES)),
        /the next segment begins at offset 7/,
      ],
    ];
    const input = dir.file("input");
    Deno.writeTextFileSync(input, "a\n");
    const cases: Case[] = [];
    for (const [name, files, says] of logs) {
      const log = logOf(dir, name, files);
      cases.push(
        [["ingest", input, "--into", log], 1, says],
        [["verify", log], 1, new RegExp(`${log}/0+.*byte 0`)],
        [["inspect", log], 0, /opening would be refused/],
        [["repair", log, "--keep", "oldest"], 1, /Nothing was changed/],
      );
    }
    const before = logs.map(([name]) => contents(dir.file(name)));
    await check(cases, ["--allow-all"]);
    assertEquals(logs.map(([name]) => contents(dir.file(name))), before);
    await check(
      logs.flatMap(([name]): Case[] => [
        [
          ["repair", dir.file(name), "--keep", "oldest", "--yes", "--json"],
          0,
          /"done":true/,
        ],
        [["verify", dir.file(name)], 0, /is sound/],
        [["ingest", input, "--into", dir.file(name)], 0, /1 message of/],
      ]),
      ["--allow-all"],
    );
  },
);

const MOUNTS = canMount("mount -t tmpfs none $0");

Deno.test(
  `basalt reads, inspects and verifies a log on a read-only filesystem, and does not write it${
    MOUNTS ? "" : " (skipped: needs mounts)"
  }`,
  { ignore: !MOUNTS },
  async () => {
    using dir = new Directory();
    const log = logOf(dir, "log", filesOf(FIRST, SECOND));
    const input = dir.file("input");
    Deno.writeTextFileSync(input, "a\n");
    const before = contents(log);
    // The filesystem is mounted in the child alone, and ends with it.
    const mount =
      `mount --bind ${log} ${log} && mount -o remount,ro,bind ${log} && exec "$@"`;
    await check(
      [
        [["read", log, "--count", "1"], 0, /^0 /],
        [["verify", log], 0, /is sound: 3 good messages/],
        [["inspect", log], 0, /opening would have nothing to do/],
        [["repair", log], 0, /nothing to repair/],
        [["ingest", input, "--into", log], 1, /EROFS.*read-only/],
        [["ingest", input, "--into", `${log}/below`], 1, /EROFS.*read-only/],
        [["probe", log], 1, /EROFS.*read-only/],
      ],
      ["--allow-all"],
      ["unshare", "--mount", "sh", "-c", mount, "sh"],
    );
    assertEquals(contents(log), before);
  },
);

Deno.test(
  "basalt reads and verifies a log that another process writes, and names that process",
  { ignore: !ALL },
  async () => {
    using dir = new Directory();
    const log = dir.file("log");
    await using holder = new Deno.Command(Deno.execPath(), {
      args: [
        ...PROGRAM,
        "ingest",
        "-",
        "--into",
        log,
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const stdin = holder.stdin.getWriter();
    await stdin.write(new TextEncoder().encode("a\nb\nunfinis"));
    // A line of a stream is durable and can be read while the stream continues.
    await waitFor(async () =>
      (await basalt(["read", log, "--raw"])).out === "a\nb\n"
    );
    const input = dir.file("input");
    Deno.writeTextFileSync(input, "x\n");
    const owner = new RegExp(`process ${holder.pid}`);
    await check([
      [["read", log, "--raw"], 0, /^a\nb\n$/],
      [["verify", log], 0, /2 good messages/],
      [["inspect", log], 0, owner],
      [["repair", log, "--yes"], 1, owner],
      [["ingest", input, "--into", log], 1, owner],
    ], ["--allow-all"]);
    await stdin.write(new TextEncoder().encode("hed"));
    await stdin.close();
    const { code } = await holder.output();
    assertEquals(code, 0);
    assertEquals(
      (await basalt(["read", log, "--raw"])).out,
      "a\nb\nunfinished",
    );
  },
);
