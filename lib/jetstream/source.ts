import { DeliverPolicy, jetstream, type JsMsg } from "@nats-io/jetstream";
import { onAbort } from "../base/mod.ts";
import type { ResumePoint, Source, SourceMessage } from "../ship/mod.ts";
import { LOG_HEADER, offsetOf, userHeadersOf } from "./_headers.ts";
import {
  type JetStreamConnection,
  type JetStreamOptions,
  StreamView,
} from "./_stream.ts";

/** Upper bound of the messages that the server sends before they are appended. */
const MAX_MESSAGES = 2000;

/**
 * Makes a source of one subject of a JetStream stream, for `pull`. It restores a shipped log, or
 * brings other messages into a log.
 *
 * NATS headers become user headers of text, except those that begin with `Nats-` or `Basalt-`.
 *
 * @param connection The connection, which the caller closes; `await using` drains it first.
 * @throws {TypeError} If the subject has wildcards, or the stream has no name.
 *
 * @example Restoring a log
 * ```ts
 * import { Log } from "@basalt/io";
 * import { jetStreamSource } from "@basalt/io/jetstream";
 * import { pull } from "@basalt/io/ship";
 * import { connect } from "npm:@nats-io/transport-node@3.4.0";
 *
 * async function restore(): Promise<number> {
 *   await using connection = await connect({ servers: "nats://127.0.0.1:4222" });
 *   await using log = await Log.open("data/restored");
 *   const source = jetStreamSource(connection, { stream: "edge", subject: "edge.7" });
 *   return (await pull(source, log)).messages;
 * }
 * ```
 */
export function jetStreamSource(
  connection: JetStreamConnection,
  options: JetStreamOptions,
): Source {
  const view = new StreamView(connection, options);
  return { messages: (from, options) => messages(view, from, options) };
}

async function* messages(
  view: StreamView,
  from: ResumePoint,
  { follow, signal }: { follow: boolean; signal: AbortSignal },
): AsyncGenerator<SourceMessage, void, void> {
  const { connection, stream, subject } = view;
  await view.config(signal);
  const last = await view.message(signal);
  if (last === null && !follow) return;
  const start = await startOf(view, from, last?.seq ?? 0, signal);
  if (!follow && start > last!.seq) return;
  const consumer = await jetstream(connection).consumers.get(stream, {
    filter_subjects: subject,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: start,
  });
  const arriving = await consumer.consume({
    max_messages: MAX_MESSAGES,
    abort_on_missing_resource: true,
  });
  const unlisten = onAbort(signal, () => arriving.stop());
  const closed = connection.closed().then((error) =>
    arriving.stop(error ?? undefined)
  );
  closed.catch(() => {});
  try {
    for await (const message of arriving) {
      signal.throwIfAborted();
      yield asSourceMessage(message);
      if (!follow && message.seq >= last!.seq) return;
    }
    signal.throwIfAborted();
    view.refuseClosed(new Error("it ended while messages were pulled"));
  } finally {
    unlisten();
    await arriving.close();
  }
}

function asSourceMessage({ data, headers, seq }: JsMsg): SourceMessage {
  const offset = offsetOf(headers);
  const userHeaders = userHeadersOf(headers);
  return {
    payload: data,
    ...userHeaders.length === 0 ? {} : { userHeaders },
    ...offset === undefined
      ? { sequence: seq }
      : { offset, log: headers!.get(LOG_HEADER) },
  };
}

/** Finds the sequence number of the first message that the log does not have. */
async function startOf(
  view: StreamView,
  { nextOffset, sequence }: ResumePoint,
  lastSequence: number,
  signal: AbortSignal,
): Promise<number> {
  if (sequence !== undefined) return sequence + 1;
  if (nextOffset === 0) return 1;
  // Offsets rise with sequences: the first message at or after `nextOffset`.
  let low = 1;
  let high = lastSequence + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await view.message(signal, middle);
    const offset = offsetOf(found?.header);
    if (found === null || offset === undefined || offset >= nextOffset) {
      high = middle;
    } else {
      low = found.seq + 1;
    }
  }
  return low;
}
