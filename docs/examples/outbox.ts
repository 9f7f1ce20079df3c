/** Orders that reach NATS JetStream exactly once, even if the network fails for a while. */
import { Log } from "@basalt/io";
import { jetStreamSink } from "@basalt/io/jetstream";
import { ship } from "@basalt/io/ship";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const [servers = "127.0.0.1:4222"] = Deno.args;
// At the end of the program, the connection sends what is pending and closes.
await using connection = await connect({
  servers,
  maxReconnectAttempts: -1, // reconnect forever
});
const manager = await jetstreamManager(connection);
await manager.streams.add({
  name: "orders",
  subjects: ["orders.>"],
  allow_atomic: true, // store batches atomically
});

await using log = await Log.open("data/orders");
const sink = jetStreamSink(connection, {
  stream: "orders",
  subject: "orders.shop1", // used by this log only
});
await using shipping = ship(log, sink, { cursor: "jetstream" });

/** Accepts an order without waiting for the network. */
async function order(item: string): Promise<number> {
  return await log.appendDurable(JSON.stringify({ item }));
}

let last = 0;
for (const item of ["tea", "milk", "sugar"]) last = await order(item);

// A server would keep running; this program waits until all orders have arrived.
while ((shipping.stats().nextOffset ?? 0) <= last) {
  const soon = new Promise((resolve) => setTimeout(resolve, 10));
  await Promise.race([soon, shipping.done]); // throws if shipping has failed
}
const { state } = await manager.streams.info("orders");
console.log(`${state.messages} orders are in the stream`);
