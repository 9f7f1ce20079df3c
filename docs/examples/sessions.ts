/** Serves session logs over HTTP: clients append, follow, and resume after a disconnect. */
import { Log } from "@basalt/io";

const logs = new Map<string, Promise<Log>>();

/** Opens the log of a session once. */
function session(id: string): Promise<Log> {
  let log = logs.get(id);
  if (log === undefined) {
    log = Log.open(`data/sessions/${id}`);
    log.catch(() => logs.delete(id)); // the next request tries again
    logs.set(id, log);
  }
  return log;
}

/** Streams a session's messages from an offset as server-sent events, then new ones. */
function events(log: Log, from: number): Response {
  const messages = log.messages({ from, follow: true, durable: true });
  const body = new ReadableStream<string>({
    async pull(controller) {
      const { value, done } = await messages.next();
      if (done) return controller.close();
      // The client returns the id in `Last-Event-ID` when it connects again.
      controller.enqueue(`id: ${value.offset}\ndata: ${value.text()}\n\n`);
    },
    async cancel() { // the client has disconnected
      await messages.return();
    },
  });
  return new Response(body.pipeThrough(new TextEncoderStream()), {
    headers: { "content-type": "text/event-stream" },
  });
}

/** POST /sessions/ID appends a message, GET /sessions/ID follows the session. */
async function handle(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const [, id] = /^\/sessions\/([\w-]{1,64})$/.exec(pathname) ?? [];
  if (id === undefined) return new Response("not found", { status: 404 });
  const log = await session(id);
  if (request.method === "POST") {
    const message = JSON.stringify(await request.json());
    return Response.json({ offset: await log.appendDurable(message) });
  }
  const last = request.headers.get("last-event-id");
  const from = last === null
    ? Number(searchParams.get("from") ?? 0)
    : Number(last) + 1;
  if (!Number.isInteger(from) || from < 0 || from > log.nextOffset) {
    return new Response("no such offset", { status: 400 });
  }
  return events(log, from);
}

Deno.serve({ hostname: "127.0.0.1", port: Number(Deno.args[0]) }, handle);
