/** `handOver` and `takeOver` with a real server. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { handOver, takeOver } from "../../lib/iggy/mod.ts";
import { readStateLog } from "../../lib/iggy/state_log.ts";
import { readVersion } from "../../lib/iggy/version.ts";
import { Log } from "../../lib/log/mod.ts";
import { Locked } from "../../lib/storage/mod.ts";
import { appendSome, drain, KIB, payload, testPool } from "../log/support.ts";
import { Iggy, WITHOUT_SERVER } from "./server.ts";

const ignore = WITHOUT_SERVER !== undefined;

Deno.test({
  name:
    "what handOver() put into a real server's partition is served and appended to, and takeOver() brings it back",
  ignore,
  fn: async () => {
    await using iggy = new Iggy();
    const pool = testPool();
    const dir = Deno.makeTempDirSync({ prefix: "basalt_iggy_" });
    const address = {
      dataDirectory: iggy.data,
      stream: "orders",
      topic: "eu",
      partition: 1,
      pool,
    };
    try {
      {
        await using log = await Log.open(`${dir}/log`, {
          pool,
          segmentBytes: 64 * KIB,
        });
        appendSome(log, 500, 1000);
        await log.flush();
        // A log that was truncated begins in the middle: the server's empty first segment must give way.
        await log.truncateBefore(200);
      }
      await iggy.start();
      await iggy.createStream("orders");
      await iggy.createTopic("eu", { partitions: 2 });
      await iggy.append([{ payload: payload(1, 10) }]);
      await iggy.storeOffset(7, 0);
      const running = await assertRejects(
        () => handOver(`${dir}/log`, address),
        Locked,
      );
      assertStringIncludes(running.message, "a running Iggy server");
      await assertRejects(() => takeOver(`${dir}/no`, address), Locked);
      await iggy.stop();

      await assertRejects(
        () => handOver(`${dir}/log`, { ...address, partition: 0 }),
        Deno.errors.AlreadyExists,
      );
      const { firstOffset } = await handOver(`${dir}/log`, address);
      await iggy.start();
      const polled = [];
      for (let from = firstOffset; from < 500; from += 100) {
        polled.push(...await iggy.poll("offset", from, 100, 1));
      }
      assertEquals(
        polled.map(({ header, payload }) => [header.offset, payload]),
        Array.from({ length: 500 - firstOffset }, (_, i) => [
          firstOffset + i,
          payload(firstOffset + i, 1000).toBase64(),
        ]),
      );
      await iggy.append(
        Array.from(
          { length: 20 },
          (_, i) => ({ payload: payload(500 + i, 1000) }),
        ),
        1,
      );
      await iggy.stop();

      const first = await takeOver(`${dir}/first`, {
        ...address,
        partition: 0,
      });
      assertEquals(first.consumerOffsets, [{
        kind: "consumer",
        id: 7,
        offset: 0,
      }]);
      const taken = await takeOver(`${dir}/taken`, address);
      assertEquals([taken.firstOffset, taken.nextOffset], [firstOffset, 520]);
      await using log = await Log.open(`${dir}/taken`, { pool });
      assertEquals(log.stats().opening.recovered, []);
      log.append(payload(520, 1000));
      await log.flush();
      const all = await drain(log);
      assertEquals(
        all.map((message) => [message.offset, message.payload]),
        Array.from({ length: 521 - firstOffset }, (_, i) => [
          firstOffset + i,
          payload(firstOffset + i, 1000),
        ]),
      );
    } finally {
      pool.close();
      Deno.removeSync(dir, { recursive: true });
    }
  },
});

Deno.test({
  name:
    "the streams, topics and partitions of a real server's state log are those that it serves",
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
