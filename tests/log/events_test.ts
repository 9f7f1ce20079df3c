/** Events of a log on the channels of `node:diagnostics_channel`. */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { loadEvents, Log, type LogEvents } from "../../lib/log/mod.ts";
import { PoisonedError } from "../../lib/segment/mod.ts";
import { ALL } from "../permissions.ts";
import {
  appendSome,
  at,
  DiskPlace,
  openLog,
  SimulatedPlace,
} from "./_support.ts";

const NAMES = [
  "basalt:flush",
  "basalt:roll",
  "basalt:retain",
  "basalt:poison",
  "basalt:recovery",
  "basalt:cursor",
] as const satisfies (keyof LogEvents)[];

type Seen = { [N in keyof LogEvents]: LogEvents[N][] };

/** Collects what the channels publish about a directory while `body` runs. */
async function watching(
  dir: string,
  body: (seen: Seen) => Promise<void>,
): Promise<void> {
  const seen = Object.fromEntries(
    NAMES.map((name) => [name, []]),
  ) as unknown as Seen;
  const listen = (event: unknown, name: string | symbol) => {
    if ((event as { log: string }).log !== dir) return;
    (seen[name as keyof Seen] as unknown[]).push(event);
  };
  for (const name of NAMES) subscribe(name, listen);
  try {
    await body(seen);
  } finally {
    for (const name of NAMES) unsubscribe(name, listen);
  }
}

Deno.test("LogEvents report flushes, rolls, retention and cursors", async () => {
  loadEvents();
  await at(new SimulatedPlace(), async (place) => {
    await watching(place.dir, async (seen) => {
      const log = await openLog(place, { segmentBytes: 4096 });
      for (let i = 0; i < 4; i++) {
        appendSome(log, 1, 1000);
        await log.flush();
      }
      assertEquals(
        seen["basalt:flush"].map(({ durableOffset }) => durableOffset),
        [1, 2, 3, 4],
      );
      for (const { messages, durationMicros, log } of seen["basalt:flush"]) {
        assertEquals([messages, log], [1, place.dir]);
        assert(durationMicros >= 0);
      }
      assertEquals(seen["basalt:roll"], [
        { log: place.dir, firstOffset: 0, nextOffset: 3, byteLength: 3 * 1304 },
      ]);
      const cursor = await log.cursor("a");
      await cursor.commit(1);
      await cursor.commit(1);
      const report = await log.retain({ hardBytes: 0 });
      await cursor.seek("first");
      await cursor.close();
      await log.deleteCursor("a");
      assertEquals(
        seen["basalt:cursor"].map(({ action, position }) => [action, position]),
        [
          ["opened", 0],
          ["committed", 1],
          ["passed", undefined],
          ["moved", 3],
          ["closed", 3],
          ["deleted", undefined],
        ],
      );
      assertEquals(seen["basalt:retain"], [
        { log: place.dir, report, error: undefined },
      ]);
      await log.close();
      assertEquals(seen["basalt:poison"], []);
      assertEquals(seen["basalt:recovery"], []);
    });
  });
});

Deno.test("LogEvents report poison, failures and recovery", async () => {
  loadEvents();
  const place = new SimulatedPlace();
  await watching(place.dir, async (seen) => {
    const log = await openLog(place, { segmentBytes: 4096 });
    for (let i = 0; i < 4; i++) {
      appendSome(log, 1, 1000);
      await log.flush();
    }
    const stopListing = place.storage.onOperation(({ kind }) =>
      kind === "list" ? { error: "EACCES" } : undefined
    );
    const refused = await assertRejects(() => log.retain({ bytes: 0 }));
    stopListing();
    assertEquals(seen["basalt:retain"][0]!.error, refused as Error);
    const cursor = await log.cursor("a");
    const stop = place.storage.onOperation(({ kind }) =>
      kind === "write" ? { error: "EIO" } : undefined
    );
    appendSome(log, 1, 10);
    const poison = await assertRejects(() => log.flush(), PoisonedError);
    stop();
    assertEquals(seen["basalt:poison"], [{ log: place.dir, error: poison }]);
    await cursor.close();
    await log.close().catch(() => {});
    const next = new SimulatedPlace(place.storage.kill());
    await (await openLog(next)).close();
    const [{ report }] = seen["basalt:recovery"] as [
      LogEvents["basalt:recovery"],
    ];
    assertEquals(report.recovered.length, 1);
    next.pool.close();
  });
  place.pool.close();
});

Deno.test({
  name:
    "LogEvents reach a subscriber in a program that imports no module for them",
  ignore: !ALL,
  async fn() {
    const place = new DiskPlace();
    const script = `
      import { subscribe } from "node:diagnostics_channel";
      import { Log } from ${
      JSON.stringify(new URL("../../mod.ts", import.meta.url).href)
    };
      let count = 0;
      subscribe("basalt:flush", () => count++);
      await using log = await Log.open(${JSON.stringify(place.dir)});
      await log.appendDurable("one");
      await new Promise((resolve) => setTimeout(resolve, 200));
      await log.appendDurable("two");
      console.log(count);
    `;
    const path = `${place.dir}.ts`;
    try {
      await Deno.writeTextFile(path, script);
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", path],
      }).output();
      const text = new TextDecoder();
      assertEquals(text.decode(stdout), "2\n", text.decode(stderr));
    } finally {
      await Deno.remove(path).catch(() => {});
      place.remove();
      place.pool.close();
    }
  },
});

Deno.test("Log reads one property of a channel without a subscriber, and append() none", async () => {
  loadEvents();
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    assertInstanceOf(log, Log);
    let reads = 0;
    const { channel } = await import("node:diagnostics_channel");
    const flush = channel("basalt:flush");
    Object.defineProperty(flush, "hasSubscribers", {
      configurable: true,
      get: () => (reads++, false),
    });
    try {
      appendSome(log, 100, 10);
      assertEquals(reads, 0);
      await log.flush();
      assertEquals(reads, 1);
    } finally {
      delete (flush as { hasSubscribers?: boolean }).hasSubscribers;
      await log.close();
    }
  });
});
