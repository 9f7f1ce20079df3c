/** Exports and imports with a real server of Iggy up to 0.8. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { exportToIggy, importFromIggy } from "../../lib/iggy/mod.ts";
import { readStateLog } from "../../lib/iggy/_state_log.ts";
import { readVersion } from "../../lib/iggy/_version.ts";
import { Log } from "../../lib/log/mod.ts";
import { LockedError } from "../../lib/storage/mod.ts";
import { answered, comparable } from "./_messages.ts";
import { Iggy, WITHOUT_SERVER } from "./_server.ts";
import { KIB, payload, testPool } from "./_support.ts";

const ignore = WITHOUT_SERVER !== undefined;

/** Returns the messages of a log in the form that is compared with those of a server. */
async function messagesOf(log: Log) {
  const all = [];
  for await (using batch of log.read()) {
    for (let i = 0; i < batch.count; i++) {
      all.push(await comparable(batch.message(i)));
    }
  }
  return all;
}

/**
 * Writes a log whose first segments were removed, so that the server's empty first segment must be
 * replaced.
 */
async function writeLog(path: string, pool: ReturnType<typeof testPool>) {
  await using log = await Log.open(path, { pool, segmentBytes: 64 * KIB });
  for (let i = 0; i < 500; i++) {
    log.append(payload(i, 1000), { userHeaders: { n: i } });
    if (i % 50 === 0) await log.flush();
  }
  await log.flush();
  await log.truncateBefore(200);
  return await messagesOf(log);
}

Deno.test({
  name:
    "exportToIggy() fills a partition that a real server serves and appends to, and importFromIggy() brings it back",
  ignore,
  fn: async () => {
    await using iggy = new Iggy();
    const pool = testPool();
    const dir = Deno.makeTempDirSync({ prefix: "basalt_iggy_" });
    const server = { dataDirectory: iggy.data, stream: "orders", topic: "eu" };
    const address = { ...server, partition: 1 };
    const options = { pool, format: "0.8" } as const;
    const give = (to: typeof server) => exportToIggy(`${dir}/log`, to, options);
    try {
      const before = await writeLog(`${dir}/log`, pool);
      await iggy.start();
      await iggy.createStream("orders");
      await iggy.createTopic("eu", { partitions: 2 });
      await iggy.append([{ payload: payload(1, 10) }]);
      await iggy.storeOffset(7, 0);
      const running = await assertRejects(() => give(address), LockedError);
      assertStringIncludes(running.message, "a running Iggy server");
      await assertRejects(
        () => importFromIggy(address, `${dir}/no`),
        LockedError,
      );
      await iggy.stop();

      await assertRejects(() => give(server), Deno.errors.AlreadyExists);
      const { firstOffset } = await give(address);
      await iggy.start();
      const polled = [];
      for (let from = firstOffset; from < 500; from += 100) {
        const part = await iggy.poll("offset", from, 100, 1);
        polled.push(...await Promise.all(part.map(answered)));
      }
      assertEquals(polled, before.slice(-polled.length));
      assertEquals(polled.length, 500 - firstOffset);
      const more = Array.from({ length: 20 }, (_, i) => payload(500 + i, 9));
      await iggy.append(more.map((payload) => ({ payload })), 1);
      await iggy.stop();

      const first = await importFromIggy(server, `${dir}/first`, { pool });
      const stored = { kind: "consumer", id: 7, offset: 0 } as const;
      assertEquals(first.consumerOffsets, [stored]);
      assertEquals(
        first.cursors.map(({ cursor, position }) => [cursor, position]),
        [["consumer-7", 1]],
      );
      const taken = await importFromIggy(address, `${dir}/taken`, { pool });
      assertEquals([taken.firstOffset, taken.nextOffset], [firstOffset, 520]);
      await using log = await Log.open(`${dir}/taken`, { pool });
      assertEquals(log.append(payload(520, 1000)), 520);
      await log.flush();
      const all = await messagesOf(log);
      assertEquals(all.slice(0, polled.length), polled);
      assertEquals(all.length, 521 - firstOffset);
    } finally {
      pool.close();
      Deno.removeSync(dir, { recursive: true });
    }
  },
});

Deno.test({
  name:
    "exportToIggy() finds the streams, topics and partitions of a real server's state log",
  ignore,
  fn: async () => {
    await using iggy = new Iggy();
    await iggy.start();
    for (const name of ["a", "b", "c"]) await iggy.createStream(name);
    const topic = {
      compression_algorithm: "none",
      message_expiry: 0,
      max_topic_size: 0,
    };
    for (const name of ["x", "y", "z"]) {
      await iggy.createTopic(name, { stream: "b", partitions: 2 });
    }
    await iggy.createTopic("x", { stream: "c", partitions: 1 });
    await iggy.call("PUT", "/streams/b", { name: "renamed" });
    await iggy.call("DELETE", "/streams/a");
    await iggy.call("PUT", "/streams/renamed/topics/y", {
      ...topic,
      name: "why",
    });
    await iggy.call("DELETE", "/streams/1/topics/x");
    await iggy.call("POST", "/streams/c/topics/x/partitions", {
      partitions_count: 3,
    });
    await iggy.call(
      "DELETE",
      "/streams/c/topics/0/partitions?partitions_count=1",
    );
    await iggy.createStream("ä".repeat(100));
    await iggy.createTopic("x", { stream: "renamed", partitions: 1 });
    await iggy.call("POST", "/streams/c/topics/x/consumer-groups", {
      name: "g",
    });
    await iggy.call("POST", "/users", {
      username: "someone",
      password: "secret",
      status: "active",
    });
    await iggy.call("DELETE", "/streams/c/topics/x/purge");

    const served = [];
    const streams = await iggy.call("GET", "/streams") as {
      id: number;
      name: string;
    }[];
    for (const { id, name } of streams) {
      const { topics } = await iggy.call("GET", `/streams/${id}`) as {
        topics: { id: number }[];
      };
      const found = [];
      for (const each of topics) {
        const topic = await iggy.call(
          "GET",
          `/streams/${id}/topics/${each.id}`,
        ) as {
          name: string;
          partitions: { id: number }[];
        };
        found.push([each.id, topic.name, topic.partitions.map(({ id }) => id)]);
      }
      served.push([id, name, found]);
    }
    await iggy.stop();

    const state = readStateLog(
      Deno.readFileSync(`${iggy.data}/state/log`),
      "state/log",
    );
    assertEquals(
      [...state].map(([id, { name, topics }]) => [
        id,
        name,
        [...topics].map(([id, { name, partitions }]) => [
          id,
          name,
          [...partitions].sort((a, b) => a - b),
        ]).sort(),
      ]).sort(),
      served.map((
        [id, name, topics],
      ) => [id, name, (topics as unknown[]).sort()]).sort(),
    );
    assertEquals(served.length, 3);
    assertEquals(
      /^0\.\d+\.\d+/.test(
        readVersion(Deno.readFileSync(`${iggy.data}/state/info`))!,
      ),
      true,
    );
  },
});
