/** Cursors, following, retention and metrics on the command line. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { FILES } from "../permissions.ts";
import { basalt, Directory, waitFor } from "./_support.ts";

const SEGMENT_BYTES = 4096;

/** Makes a closed log of `count` messages, three in a segment. */
async function logIn(dir: Directory, count: number): Promise<string> {
  const path = dir.file("log");
  await using log = await Log.open(path, { segmentBytes: SEGMENT_BYTES });
  for (let i = 0; i < count; i++) {
    await log.appendDurable(`${i}`.padEnd(1000, "."));
  }
  return path;
}

/** Returns the offsets that a command printed as JSON. */
function offsets(out: string): number[] {
  return out.split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line).offset);
}

Deno.test(
  "basalt read --cursor continues where it committed",
  { ignore: !FILES },
  async () => {
    using dir = new Directory();
    const log = await logIn(dir, 7);
    const read = ["read", log, "--cursor", "a", "--json"];
    const first = await basalt([...read, "--count", "2", "--commit"]);
    assertEquals([first.code, offsets(first.out)], [0, [0, 1]], first.errors);
    // Without `--commit` the position is not stored.
    for (let run = 0; run < 2; run++) {
      const { out } = await basalt([...read, "--count", "3"]);
      assertEquals(offsets(out), [2, 3, 4]);
    }
    const rest = await basalt([...read, "--commit"]);
    assertEquals(offsets(rest.out), [2, 3, 4, 5, 6]);
    assertEquals((await basalt(read)).out, "");
    const both = await basalt([...read, "--from", "1"]);
    assertEquals(both.code, 2);
  },
);

Deno.test("basalt cursors lists and deletes", { ignore: !FILES }, async () => {
  using dir = new Directory();
  const log = await logIn(dir, 7);
  assertEquals((await basalt(["cursors", log])).out, "no cursors\n");
  for (const name of ["a", "b"]) {
    await basalt(["read", log, "--cursor", name, "--count", "4", "--commit"]);
  }
  const { out } = await basalt(["cursors", log, "--json"]);
  const [a, b] = out.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals([a.name, a.position, a.lag.messages], ["a", 4, 3]);
  assertEquals([b.name, b.locked, b.owner.pid], ["b", false, Deno.pid]);
  const table = (await basalt(["cursors", log])).out;
  assertMatch(table, /^cursor +position +lag +bytes +owner\na +4 +3 /);
  const deleted = await basalt(["cursors", log, "--delete", "a"]);
  assert(!deleted.out.includes("\na "));
  const again = await basalt(["cursors", log, "--delete", "a"]);
  assertEquals(again.code, 1);
  assertMatch(again.errors, /No cursor 'a'/);
  const inspected = (await basalt(["inspect", log])).out;
  assertMatch(inspected, /\nb +4 +3 /);
  assertMatch(inspected, /retention may remove 1 segment, 3\.8 KiB/);
});

Deno.test("basalt retain removes what --dry-run reports", {
  ignore: !FILES,
}, async () => {
  using dir = new Directory();
  const log = await logIn(dir, 13);
  await basalt(["read", log, "--cursor", "a", "--count", "7", "--commit"]);
  const retain = async (...flags: string[]) => {
    const { code, out, errors } = await basalt(["retain", log, ...flags]);
    assertEquals(code, 0, errors);
    return out;
  };
  const files = () => [...Deno.readDirSync(log)].map(({ name }) => name).sort();
  const before = files();
  assertEquals(
    await retain("--bytes", "1K", "--dry-run"),
    "would remove 2 segments, 7.6 KiB: the log would begin at offset 6\n",
  );
  assertEquals(
    await retain("--age", "1h", "--dry-run"),
    "would remove 0 segments, 0 B: the log would begin at offset 0\n",
  );
  assertEquals(files(), before);
  assertEquals(JSON.parse(await retain("--before", "5", "--json")), {
    firstOffset: 3,
    removedSegments: 1,
    removedBytes: 3 * 1304,
    passedCursors: [],
  });
  assertEquals(
    await retain("--age", "0s"),
    "removed 1 segment, 3.8 KiB: the log begins at offset 6\n",
  );
  assertEquals(
    await retain("--hard-bytes", "0.5K"),
    "removed 2 segments, 7.6 KiB: the log begins at offset 12\n" +
      "cursors that still needed them: a\n",
  );
  const passed = await basalt(["read", log, "--cursor", "a"]);
  assertEquals(passed.code, 1);
  assertMatch(passed.errors, /offset 7.*holds offsets from 12/);
  for (
    const flags of [[], ["--bytes", "1X"], ["--age", "7"], ["--age", "-1d"]]
  ) {
    assertEquals((await basalt(["retain", log, ...flags])).code, 2, `${flags}`);
  }
});

Deno.test("basalt tail prints what is written, and commits it", {
  ignore: !FILES,
}, async () => {
  using dir = new Directory();
  const path = await logIn(dir, 3);
  const since = basalt(["tail", path, "--from", "1", "--count", "4", "--json"]);
  const fresh = basalt(["tail", path, "--count", "1", "--raw"]);
  {
    await using log = await Log.open(path);
    // The new cursor finds the end of the log first.
    let isOver = false;
    fresh.then(() => isOver = true);
    await waitFor(async () => {
      await log.appendDurable("more");
      return isOver;
    });
  }
  assertEquals(offsets((await since).out), [1, 2, 3, 4]);
  assertEquals((await fresh).out, "more");
  const follow = ["tail", path, "--cursor", "a", "--commit", "--json"];
  const first = await basalt([...follow, "--count", "2"]);
  assertEquals([first.code, offsets(first.out)], [0, [0, 1]], first.errors);
  const next = await basalt([...follow, "--count", "2"]);
  assertEquals(offsets(next.out), [2, 3]);
});

Deno.test("basalt metrics prints the text format of Prometheus", {
  ignore: !FILES,
}, async () => {
  using dir = new Directory();
  const log = await logIn(dir, 7);
  await basalt(["read", log, "--cursor", "a", "--count", "4", "--commit"]);
  const { code, out } = await basalt(["metrics", log]);
  assertEquals(code, 0);
  for (
    const line of [
      `basalt_log_next_offset{log="${log}"} 7`,
      `basalt_log_segments{log="${log}"} 3`,
      `basalt_cursor_position{log="${log}",cursor="a"} 4`,
      `basalt_cursor_lag_messages{log="${log}",cursor="a"} 3`,
    ]
  ) assert(out.split("\n").includes(line), out);
});
