/** Shipping to a single NATS server, and what it refuses. */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { jetStreamSink } from "../../lib/jetstream/mod.ts";
import type { Log } from "../../lib/log/mod.ts";
import {
  ship,
  type ShipOptions,
  type Shipping,
  ShippingError,
} from "../../lib/ship/mod.ts";
import { at, openLog, SimulatedPlace } from "../log/_support.ts";
import { Nats, SERVERS } from "./_server.ts";
import {
  appendSome,
  assertStored,
  makeStream,
  type Stored,
  storedIn,
  until,
} from "./_support.ts";

interface Parts {
  t: Deno.TestContext;
  nats: Nats;
  connection: NatsConnection;
}

/** Runs steps with one server and one connection. */
async function withServer(
  t: Deno.TestContext,
  steps: Record<string, (parts: Parts, log: Log) => Promise<void>>,
  options: { binary?: string; config?: string } = {},
): Promise<void> {
  await using nats = await Nats.start(options);
  const connection = await nats.connect();
  try {
    for (const [name, step] of Object.entries(steps)) {
      await t.step(name, () =>
        at(new SimulatedPlace(), async (place) => {
          await using log = await openLog(place);
          await step({ t, nats, connection }, log);
        }));
    }
  } finally {
    await connection.close();
  }
}

/** Ships all messages of a log. */
function shipAll(
  log: Log,
  { connection }: Pick<Parts, "connection">,
  address: { stream: string; subject: string; timeoutMs?: number },
  options: Partial<ShipOptions> = {},
): Shipping {
  const sink = jetStreamSink(connection, { timeoutMs: 1000, ...address });
  return ship(log, sink, { cursor: "edge", follow: false, ...options });
}

/** Ships all messages of a log, and returns the error that ends it. */
async function refusal(shipping: Shipping): Promise<ShippingError> {
  const error = await assertRejects(() => shipping.done, ShippingError);
  return error as ShippingError;
}

const ignore = SERVERS.current === undefined;

Deno.test("jetStreamSink() with a server", { ignore }, (t) =>
  withServer(t, {
    async "stores every message once and in order, with its bytes"(
      { nats, connection },
      log,
    ) {
      const address = await makeStream(nats, connection, "all");
      await appendSome(log, 2500);
      const { done } = shipAll(log, { connection }, address);
      await done;
      await assertStored(connection, address, log.identity, 2500);
      await appendSome(log, 10);
      await shipAll(log, { connection }, address).done;
      await assertStored(connection, address, log.identity, 2510);
    },

    async "keeps the subjects of several logs in a stream separate"(
      { nats, connection },
      log,
    ) {
      const address = await makeStream(nats, connection, "apart");
      const other = { ...address, subject: "apart.8" };
      await at(new SimulatedPlace({ seed: 2 }), async (place) => {
        await using second = await openLog(place);
        for (let i = 0; i < 3; i++) {
          await appendSome(log, 100);
          await appendSome(second, 50);
          await shipAll(log, { connection }, address).done;
          await shipAll(second, { connection }, other).done;
        }
        await assertStored(connection, other, second.identity, 150);
      });
      await assertStored(connection, address, log.identity, 300);
    },

    async "turns text and numbers into NATS headers, except those that NATS reserves"(
      { nats, connection },
      log,
    ) {
      const address = await makeStream(nats, connection, "headers");
      log.append("x", {
        userHeaders: {
          source: "sensor-7",
          n: 1.5,
          big: { kind: "uint64", value: 2n ** 63n },
          raw: new Uint8Array(3),
          yes: true,
          "Nats-Rollup": "all",
          "with space": "x",
          lines: "a\r\nb",
        },
      });
      await log.flush();
      const shipping = shipAll(log, { connection }, address);
      await shipping.done;
      const all: Stored[] = [];
      await storedIn(connection, address, (message) => all.push(message));
      const { headers } = all[0]!;
      const own = Object.entries(headers)
        .filter(([name]) => !/^Nats-(Batch|Expected)/.test(name));
      assertEquals(Object.fromEntries(own), {
        "Basalt-Log": [log.identity],
        "Basalt-Offset": ["0"],
        "Nats-Msg-Id": [`${log.identity}:0`],
        big: [String(2n ** 63n)],
        n: ["1.5"],
        source: ["sensor-7"],
      });
      const { warnings } = shipping.stats();
      assertEquals(warnings.map((text) => /'[^']*'/.exec(text)![0]).sort(), [
        "'Nats-Rollup'",
        "'lines'",
        "'with space'",
      ]);
    },

    async "refuses a log that was created again, and messages that are not from a log"(
      { nats, connection },
      log,
    ) {
      const address = await makeStream(nats, connection, "anew");
      await appendSome(log, 3);
      await shipAll(log, { connection }, address).done;
      await at(new SimulatedPlace({ seed: 2 }), async (place) => {
        await using anew = await openLog(place);
        await appendSome(anew, 5);
        const error = await refusal(shipAll(anew, { connection }, address));
        assertEquals(error.reason, "other log");
        assertStringIncludes(error.message, log.identity);
        assertStringIncludes(error.message, anew.identity);
      });
      await jetstream(connection).publish("anew.other", "hello");
      const other = { ...address, subject: "anew.other" };
      const error = await refusal(shipAll(log, { connection }, other));
      assertEquals(error.reason, "other log");
      await assertStored(connection, address, log.identity, 3);
    },

    async "refuses a missing stream, and a subject that the stream does not store"(
      { nats, connection },
      log,
    ) {
      const address = await makeStream(nats, connection, "unfit");
      const missing = { ...address, stream: "missing" };
      const gone = await refusal(shipAll(log, { connection }, missing));
      assertEquals(gone.reason, "gone");
      assertStringIncludes(gone.message, "'missing'");
      const wrong = { ...address, subject: "else.7" };
      const unfit = await refusal(shipAll(log, { connection }, wrong));
      assertEquals(unfit.reason, "unfit");
      assertStringIncludes(unfit.message, "'unfit.>'");
    },

    async "refuses a stream that was deleted and created again, and continues at the cursor if told so"(
      { nats, connection },
      log,
    ) {
      const manager = await jetstreamManager(connection);
      const address = await makeStream(nats, connection, "again");
      const sink = jetStreamSink(connection, address);
      const shipping = ship(log, sink, { cursor: "edge" });
      await appendSome(log, 10);
      await until(() => shipping.stats().nextOffset === 10);
      await manager.streams.delete("again");
      await makeStream(nats, connection, "again");
      await appendSome(log, 10);
      const error = await refusal(shipping);
      assertEquals(error.reason, "empty");
      assertStringIncludes(error.message, "cursor 'edge' is at offset 10");
      await shipAll(log, { connection }, address, {
        resumeFrom: "cursor",
      }).done;
      await assertStored(connection, address, log.identity, 20, 10);
    },

    async "names what can empty the subject"({ nats, connection }, log) {
      const address = await makeStream(nats, connection, "aging", {
        max_age: 3600e9,
        max_msgs: 1000,
      });
      const shipping = shipAll(log, { connection }, address);
      await shipping.done;
      const text = shipping.stats().warnings.join();
      assertStringIncludes(text, "max_age is 3600 s");
      assertStringIncludes(text, "max_msgs is 1000");
    },

    async "waits while the stream is full, and continues when there is room"(
      { nats, connection },
      log,
    ) {
      const manager = await jetstreamManager(connection);
      const full = { discard: "new", max_bytes: 200_000 } as const;
      const address = await makeStream(nats, connection, "full", full);
      await appendSome(log, 1000);
      const shipping = shipAll(log, { connection }, address);
      await until(() => shipping.stats().retries > 2);
      const { state, lastError } = shipping.stats();
      assertEquals(state, "retrying");
      assertStringIncludes(lastError!.message, "maximum bytes exceeded");
      await manager.streams.update("full", { ...full, max_bytes: -1 });
      await shipping.done;
      await assertStored(connection, address, log.identity, 1000);
    },

    async "refuses a message above the limit, after those before it"(
      { nats, connection },
      log,
    ) {
      for (const limit of [undefined, 5000]) {
        const name = limit === undefined ? "server" : "stream";
        const address = await makeStream(
          nats,
          connection,
          name,
          limit === undefined ? {} : { max_msg_size: limit },
        );
        await at(new SimulatedPlace(), async (place) => {
          await using large = await openLog(place);
          await appendSome(large, 10);
          large.append(new Uint8Array((limit ?? 1024 * 1024) - 20));
          await appendSome(large, 10);
          const error = await refusal(shipAll(large, { connection }, address));
          assertEquals(error.reason, "too large");
          assertStringIncludes(error.message, "offset 10");
          await assertStored(connection, address, large.identity, 10);
        });
      }
      assertEquals(log.nextOffset, 0);
    },

    async "stores nothing twice from two shippers at once, and fences one"(
      { nats, connection },
      log,
    ) {
      const address = await makeStream(nats, connection, "two");
      await appendSome(log, 3000);
      const both = ["a", "b"].map((cursor) =>
        shipAll(log, { connection }, address, { cursor, maxBytes: 10_000 })
      );
      const results = await Promise.allSettled(both.map(({ done }) => done));
      assert(results.some(({ status }) => status === "fulfilled"));
      for (const result of results) {
        if (result.status === "fulfilled") continue;
        assertEquals((result.reason as ShippingError).reason, "fenced");
      }
      assert(both.some((each) => each.stats().retries > 0));
      await assertStored(connection, address, log.identity, 3000);
    },

    async "refuses a connection that was closed"({ nats }, log) {
      const own = await nats.connect();
      const address = await makeStream(nats, own, "closed");
      await appendSome(log, 1);
      await own.close();
      const error = await refusal(
        shipAll(log, { connection: own }, address),
      );
      assertEquals(error.reason, "gone");
      assertStringIncludes(error.message, "was closed");
    },
  }));

Deno.test(
  "jetStreamSink() with one message in flight on a stream without atomic batches",
  { ignore },
  (t) =>
    withServer(t, {
      async "stores every message once and in order"(
        { nats, connection },
        log,
      ) {
        const config = { allow_atomic: false };
        const address = await makeStream(nats, connection, "single", config);
        await appendSome(log, 300);
        const shipping = shipAll(log, { connection }, address);
        await shipping.done;
        await assertStored(connection, address, log.identity, 300);
        assertStringIncludes(shipping.stats().warnings.join(), "allow_atomic");
      },
    }),
);

Deno.test("jetStreamSink() with a server before 2.12", {
  ignore: SERVERS.older === undefined,
}, (t) =>
  withServer(t, {
    async "stores every message once and in order"(
      { nats, connection },
      log,
    ) {
      const address = await makeStream(nats, connection, "older");
      await appendSome(log, 300);
      await shipAll(log, { connection }, address).done;
      await assertStored(connection, address, log.identity, 300);
    },

    async "does not report messages as stored that the server has removed"(
      { nats, connection },
      log,
    ) {
      const address = await makeStream(nats, connection, "purged");
      await appendSome(log, 300);
      await shipAll(log, { connection }, address).done;
      const manager = await jetstreamManager(connection);
      await manager.streams.purge("purged");
      const options = { cursor: "new" };
      const shipping = shipAll(log, { connection }, address, options);
      await until(() => shipping.stats().retries > 0);
      await shipping.close();
      assertStringIncludes(
        shipping.stats().lastError!.message,
        "seen offset 0 before",
      );
      await assertStored(connection, address, log.identity, 0);
    },

    async "fences a second shipper"({ nats, connection }, log) {
      const address = await makeStream(nats, connection, "fence");
      await appendSome(log, 1000);
      const both = ["a", "b"].map((cursor) =>
        shipAll(log, { connection }, address, { cursor })
      );
      await Promise.allSettled(both.map(({ done }) => done));
      await shipAll(log, { connection }, address).done;
      await assertStored(connection, address, log.identity, 1000);
    },
  }, { binary: SERVERS.older! }));

Deno.test(
  "connect() with a wrong password is an error",
  { ignore },
  async () => {
    const config = `authorization { user: edge, password: right }`;
    await using nats = await Nats.start({ config });
    await using connection = await nats.connect({
      user: "edge",
      pass: "right",
    });
    assert(!connection.isClosed());
    await assertRejects(
      () => nats.connect({ user: "edge", pass: "wrong" }),
      Error,
      "Authorization Violation",
    );
  },
);

Deno.test("jetStreamSink() refuses invalid names of streams and subjects", () => {
  const connection = {} as NatsConnection;
  for (const subject of ["", "edge.*", "edge.>", "a b", ".edge", "edge..7"]) {
    const options = { stream: "edge", subject };
    assertThrows(
      () => jetStreamSink(connection, options),
      TypeError,
      "subject",
    );
  }
  for (const stream of ["", "a.b", "a b", "*"]) {
    const options = { stream, subject: "edge.7" };
    assertThrows(() => jetStreamSink(connection, options), TypeError, "stream");
  }
});
