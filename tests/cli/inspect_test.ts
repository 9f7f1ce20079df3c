/** What inspect reports of a log that is being written, and of one whose clock jumped. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { filesOf, make } from "../log/recovery/_support.ts";
import { FILES } from "../permissions.ts";
import { basalt, Directory } from "./_support.ts";

Deno.test(
  "basalt inspect of a log that is being written counts messages that are not in the index, and reports prepared space separately",
  { ignore: !FILES },
  async () => {
    using dir = new Directory();
    const path = dir.file("log");
    await using log = await Log.open(path, { prepareBytes: 1 << 20 });
    for (const payload of ["one", "two"]) await log.appendDurable(payload);
    const { out, code } = await basalt(["inspect", path]);
    assertEquals(code, 0);
    assertStringIncludes(out, "being written by process");
    const dataBytes = 2 * (256 + 48 + 3);
    assertStringIncludes(
      out,
      `2 messages at offsets [0, 2); ${dataBytes} B of data in 1 segment`,
    );
    const { segments, preparedBytes } = JSON.parse(
      (await basalt(["inspect", path, "--json"])).out,
    );
    assertEquals([segments[0].dataBytes, segments[0].indexBytes], [
      dataBytes,
      0,
    ]);
    assertEquals(
      segments[0].logBytes,
      dataBytes + preparedBytes,
    );
    if (preparedBytes > 0) {
      assertStringIncludes(out, " prepared for messages to come");
    }
  },
);

Deno.test(
  "basalt inspect reports that the last message is ahead of the clock",
  { ignore: !FILES },
  async () => {
    using dir = new Directory();
    const now = Date.now() * 1000;
    for (const [name, ahead] of [["past", -1e6], ["ahead", 3600e6]] as const) {
      Deno.mkdirSync(dir.file(name));
      const files = filesOf(make(0, [3], () => now + ahead));
      for (const [file, bytes] of Object.entries(files)) {
        Deno.writeFileSync(`${dir.file(name)}/${file}`, bytes);
      }
    }
    const { out } = await basalt(["inspect", dir.file("ahead")]);
    const [, seconds] =
      /the last message is (\d+) seconds ahead of the clock: until (\S+), all messages get that time/
        .exec(out) ?? [];
    assert(Math.abs(Number(seconds) - 3600) < 60, out);
    const past = (await basalt(["inspect", dir.file("past")])).out;
    assert(!past.includes("ahead of the clock"), past);
  },
);
