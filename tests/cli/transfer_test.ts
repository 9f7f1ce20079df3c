/** `basalt export` and `basalt import`. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { dataDirectory, writeFiles } from "../iggy/_data_directory.ts";
import { ALL } from "../permissions.ts";
import { basalt, Directory } from "./_support.ts";

const PARTITION = "streams/0/topics/0/partitions/0";
const FIRST = "00000000000000000000.log";

/** Writes a log with ten messages in two batches. */
async function writeLog(path: string): Promise<void> {
  await using log = await Log.open(path, { prepareBytes: 0 });
  for (let i = 0; i < 10; i++) {
    log.append(`message ${i}`);
    if (i === 4) await log.flush();
  }
}

const ALL_MESSAGES = Array.from({ length: 10 }, (_, i) => `message ${i}`)
  .join("");

Deno.test({
  name:
    "basalt export and import report what they would do with --dry-run, do it, and refuse with exit code 1",
  ignore: !ALL,
  fn: async () => {
    using dir = new Directory();
    const [log, server, taken] = ["log", "server", "taken"].map((name) =>
      dir.file(name)
    ) as [string, string, string];
    await writeLog(log);
    writeFiles(server, dataDirectory("0.8.1"));
    const partition = `${server}/${PARTITION}`;
    const address = ["--iggy", server, "--stream", "s", "--topic", "0"];
    const old = [...address, "--format", "0.8"];

    const plan = await basalt(["export", log, ...old, "--dry-run"]);
    assertEquals([plan.code, plan.errors], [0, ""]);
    for (
      const part of [
        `from       ${log}\n`,
        `to         ${partition}\n`,
        "partition  0, Iggy 0.8\n",
        "messages   10, offsets [0, 10), all verified\n",
        "replaces   00000000000000000000.log, which is empty\n",
        "stored     consumer 7 is at offset 3\n",
        "Nothing was changed. Leave out --dry-run to copy.\n",
      ]
    ) assertStringIncludes(plan.out, part);
    assertEquals(Deno.statSync(`${partition}/${FIRST}`).size, 0);

    const refused = await basalt(["export", log, ...address]);
    assertEquals([refused.code, refused.out], [1, ""]);
    assertStringIncludes(refused.errors, "the data directory of Iggy 0.8");
    const missing = await basalt(["export", log, ...old, "--partition", "4"]);
    assertEquals([missing.code, missing.out], [1, ""]);
    assertStringIncludes(missing.errors, "No partition 4 in topic 0 ('t')");

    const done = await basalt(["export", log, ...old]);
    assertEquals([done.code, done.errors], [0, ""]);
    assertStringIncludes(done.out, "Done.\n");

    const report = await basalt([
      "import",
      taken,
      ...address,
      "--dry-run",
      "--json",
    ]);
    const { isDone, format } = JSON.parse(report.out);
    assertEquals([isDone, format], [false, "0.8"]);
    assertEquals((await basalt(["import", taken, ...address])).code, 0);
    const read = await basalt(["read", taken, "--raw"]);
    assertEquals(read.out, ALL_MESSAGES);
  },
});

Deno.test({
  name:
    "basalt export and import take the directory of a partition of Iggy 0.9",
  ignore: !ALL,
  fn: async () => {
    using dir = new Directory();
    const [log, taken] = [dir.file("log"), dir.file("taken")];
    const partition = dir.file(PARTITION);
    await writeLog(log);
    const done = await basalt(["export", log, "--to", partition]);
    assertEquals([done.code, done.errors], [0, ""]);
    assertStringIncludes(done.out, "partition  0, Iggy 0.9\n");

    const path = `${partition}/${FIRST}`;
    Deno.truncateSync(path, Deno.statSync(path).size - 1);
    Deno.removeSync(path.replace(".log", ".index"));
    const torn = await basalt(["import", taken, "--from", partition]);
    assertEquals([torn.code, torn.out], [1, ""]);
    for (const part of [path, "--cut-torn-tail"]) {
      assertStringIncludes(torn.errors, part);
    }
    assertEquals((await basalt(["export", log, "--to", taken])).code, 0);
    const again = dir.file("again");
    const whole = await basalt(["import", again, "--from", taken]);
    assertEquals([whole.code, whole.errors], [0, ""]);
    const read = await basalt(["read", again, "--raw"]);
    assertEquals(read.out, ALL_MESSAGES);
  },
});

Deno.test({
  name:
    "basalt export --consumer stores cursors, and basalt import restores them",
  ignore: !ALL,
  fn: async () => {
    using dir = new Directory();
    const [log, taken] = [dir.file("log"), dir.file("taken")];
    const partition = dir.file(PARTITION);
    await writeLog(log);
    {
      await using opened = await Log.open(log);
      for (const [name, from] of [["billing", 4], ["audit", 10]] as const) {
        await using _cursor = await opened.cursor(name, { from });
      }
    }
    const consumers = ["--consumer", "1=billing", "--group", "2=audit"];
    const args = ["export", log, "--to", partition, ...consumers];
    const done = await basalt([...args, "--consumer", "9=audit"]);
    assertEquals([done.code, done.errors], [0, ""]);
    for (
      const line of [
        "cursor     billing at offset 4 is consumer 1\n",
        "cursor     audit at offset 10 is consumer 9\n",
        "cursor     audit at offset 10 is group 2\n",
      ]
    ) assertStringIncludes(done.out, line);
    assertEquals(Deno.statSync(`${partition}/offsets/consumers/1`).size, 16);
    const imported = await basalt(["import", taken, "--from", partition]);
    assertEquals([imported.code, imported.errors], [0, ""]);
    assertStringIncludes(
      imported.out,
      "cursor     consumer-1 at offset 4 is consumer 1\n",
    );
    {
      await using opened = await Log.open(taken);
      const cursors = await opened.cursors();
      assertEquals(cursors.map(({ name, position }) => [name, position]), [
        ["consumer-1", 4],
        ["consumer-9", 10],
        ["group-2", 10],
      ]);
    }
    const missing = await basalt([...args, "--consumer", "3=x"]);
    assertEquals([missing.code, missing.out], [1, ""]);
    assertStringIncludes(missing.errors, "there are 'audit', 'billing'");
    for (const bad of ["billing", "x=billing", "1=audit"]) {
      const { code } = await basalt([...args, "--consumer", bad]);
      assertEquals(code, 2, bad);
    }
  },
});

Deno.test({
  name: "basalt export and import end with exit code 2 without one partition",
  ignore: !ALL,
  fn: async () => {
    for (
      const args of [
        ["export", "log"],
        ["export", "log", "--iggy", "x", "--stream", "0"],
        ["export", "log", "--to", "p", "--stream", "0"],
        ["export", "log", "--to", "p", "--format", "0.7"],
        ["import", "log"],
        ["import", "log", "--from", "p", "--partition", "x"],
      ]
    ) {
      assertEquals((await basalt(args)).code, 2, args.join(" "));
    }
  },
});
