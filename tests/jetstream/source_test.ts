/** Pulling from a real server, both shipped and other messages. */
import { assertEquals, assertRejects } from "@std/assert";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { jetStreamSink, jetStreamSource } from "../../lib/jetstream/mod.ts";
import { Log } from "../../lib/log/mod.ts";
import { pull, ship, ShippingError } from "../../lib/ship/mod.ts";
import { at, drain, openLog, SimulatedPlace } from "../log/_support.ts";
import { Nats, SERVERS } from "./_server.ts";
import { appendSome, makeStream, payloadOf } from "./_support.ts";

function openRestored({ storage, pool }: SimulatedPlace): Promise<Log> {
  return Log.open("/restored", { storage, pool });
}

for (const name of ["current", "older"] as const) {
  Deno.test(`jetStreamSource() with the ${name} server`, {
    ignore: SERVERS[name] === undefined,
  }, async (t) => {
    await using nats = await Nats.start({ binary: SERVERS[name]! });
    await using connection = await nats.connect();
    const manager = await jetstreamManager(connection);

    await t.step(
      "restores a log, also in two parts, beside other subjects",
      () =>
        at(new SimulatedPlace(), async (place) => {
          const address = await makeStream(nats, connection, "back");
          await using log = await openLog(place);
          const sink = jetStreamSink(connection, address);
          const source = jetStreamSource(connection, address);
          const shipAll = () =>
            ship(log, sink, { cursor: "a", follow: false }).done;
          await using restored = await openRestored(place);
          assertEquals((await pull(source, restored)).messages, 0);
          for (const count of [700, 300]) {
            await appendSome(log, count);
            log.append("x", { userHeaders: { source: "sensor-7" } });
            await log.flush();
            await shipAll();
            await jetstream(connection).publish("back.other", "hello");
            assertEquals((await pull(source, restored)).messages, count + 1);
            assertEquals((await pull(source, restored)).messages, 0);
          }
          const payloads = async (of: typeof log) =>
            (await drain(of)).map(({ payload }) => payload);
          assertEquals(await payloads(restored), await payloads(log));
          for await (using batch of restored.read({ from: 700 })) {
            assertEquals(batch.message(0).userHeaders, [{
              key: { kind: "string", value: "source" },
              value: { kind: "string", value: "sensor-7" },
            }]);
            break;
          }
        }),
    );

    await t.step(
      "refuses a gap",
      () =>
        at(new SimulatedPlace(), async (place) => {
          const address = await makeStream(nats, connection, "gap");
          await using log = await openLog(place);
          await appendSome(log, 10);
          const sink = jetStreamSink(connection, address);
          await ship(log, sink, { cursor: "a", follow: false })
            .done;
          await manager.streams.deleteMessage("gap", 5);
          await using restored = await openRestored(place);
          const source = jetStreamSource(connection, address);
          await assertRejects(
            () => pull(source, restored),
            ShippingError,
            "Cannot pull offset 5 into log '/restored': its next offset is 4",
          );
        }),
    );

    await t.step(
      "pulls other messages as they arrive",
      () =>
        at(new SimulatedPlace(), async (place) => {
          const address = await makeStream(nats, connection, "commands");
          const client = jetstream(connection);
          const publish = async (i: number) => {
            const made = headers();
            made.set("number", String(i));
            await client.publish(address.subject, payloadOf(i), {
              headers: made,
            });
          };
          await using log = await openLog(place);
          const source = jetStreamSource(connection, address);
          for (let i = 0; i < 5; i++) await publish(i);
          assertEquals((await pull(source, log)).messages, 5);
          const abort = new AbortController();
          const { promise: isOver, resolve } = Promise.withResolvers<void>();
          const pulling = pull(source, log, {
            follow: true,
            signal: abort.signal,
            onProgress: (next) => next === 20 && resolve(),
          });
          for (let i = 5; i < 20; i++) await publish(i);
          await isOver;
          abort.abort();
          assertEquals((await pulling).messages, 15);
          const payloads = (await drain(log)).map(({ payload }) => payload);
          assertEquals(payloads, payloads.map((_, i) => payloadOf(i)));
        }),
    );
  });
}
