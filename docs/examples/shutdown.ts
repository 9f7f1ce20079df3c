/** A server that shuts down cleanly on SIGTERM: it finishes every request and loses no message. */
import { Log } from "@basalt/io";

const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
Deno.addSignalListener("SIGTERM", stop);
Deno.addSignalListener("SIGINT", stop);

await using log = await Log.open("data/readings");

/** Processes messages until the signal is aborted. */
async function work(signal: AbortSignal): Promise<void> {
  await using cursor = await log.cursor("printer");
  try {
    for await (using batch of cursor.batches({ signal })) {
      for (const message of batch) console.log(`reading ${message.text()}`);
      await cursor.commit(batch.nextOffset);
    }
  } catch (error) {
    if (error !== signal.reason) throw error;
  }
}

const ending = new AbortController();
const working = work(ending.signal);
const server = Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0]) },
  async (request) => {
    const offset = await log.appendDurable(await request.text());
    return Response.json({ offset });
  },
);

await stopped;
await server.shutdown(); // accepts no new requests, and finishes the others
ending.abort();
await working;
console.log(`closing with ${log.durableOffset} messages`);
// The end of the program closes the log, which makes the rest durable.
