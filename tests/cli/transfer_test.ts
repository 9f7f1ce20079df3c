/** `basalt hand-over` and `basalt take-over`. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { dataDirectory, writeFiles } from "../iggy/data_directory.ts";
import { ALL } from "../permissions.ts";
import { basalt, Directory } from "./support.ts";

Deno.test({
  name:
    "basalt hand-over and take-over tell what they would do, do it with --yes, and refuse with exit code 1",
  ignore: !ALL,
  fn: async () => {
    using dir = new Directory();
    const [log, server, taken] = ["log", "server", "taken"].map((name) =>
      dir.file(name)
    );
    {
      await using made = await Log.open(log!, { prepareBytes: 0 });
      for (let i = 0; i < 10; i++) made.append(`message ${i}`);
    }
    writeFiles(server!, dataDirectory("0.8.1"));
    const partition = `${server}/streams/0/topics/0/partitions/0`;
    const address = ["--iggy", server!, "--stream", "s", "--topic", "0"];

    const plan = await basalt(["hand-over", log!, ...address]);
    assertEquals([plan.code, plan.errors], [0, ""]);
    for (
      const part of [
        `from       ${log}\n`,
        `to         ${partition}\n`,
        "topic 0 ('t'), stream 0 ('s'), Iggy 0.8.1\n",
        "messages   10, offsets from 0 up to, not including, 10",
        "replaces   00000000000000000000.log, which is empty\n",
        "stored     consumer 7 has come to offset 3\n",
        "Nothing was changed: the same with --yes does it.\n",
      ]
    ) assertStringIncludes(plan.out, part);
    assertEquals(
      Deno.statSync(`${partition}/00000000000000000000.log`).size,
      0,
    );

    const refused = await basalt([
      "hand-over",
      log!,
      ...address,
      "--partition",
      "4",
    ]);
    assertEquals([refused.code, refused.out], [1, ""]);
    assertStringIncludes(refused.errors, "No partition 4 in topic 0 ('t')");

    const done = await basalt(["hand-over", log!, ...address, "--yes"]);
    assertEquals([done.code, done.errors], [0, ""]);
    assertStringIncludes(done.out, "Done.\n");

    const report = await basalt(["take-over", taken!, ...address, "--json"]);
    assertEquals(JSON.parse(report.out).done, false);
    assertEquals(
      (await basalt(["take-over", taken!, ...address, "--yes"])).code,
      0,
    );
    const read = await basalt(["read", taken!, "--raw"]);
    assertEquals(
      read.out,
      Array.from({ length: 10 }, (_, i) => `message ${i}`).join(""),
    );

    for (
      const args of [["hand-over", log!], [
        "take-over",
        taken!,
        ...address,
        "--partition",
        "x",
      ]]
    ) {
      assertEquals((await basalt(args)).code, 2, args.join(" "));
    }
  },
});
