/**
 * Ships a log that its parent writes, until it is killed. Prints a line when it has connected.
 *
 * Arguments: the directory of the log, the stream, the subject, the addresses of the servers.
 */
import { connect } from "@nats-io/transport-node";
import { jetStreamSink } from "../../lib/jetstream/mod.ts";
import { LogReader } from "../../lib/log/mod.ts";
import { ship } from "../../lib/ship/mod.ts";

const [dir, stream, subject, ...servers] = Deno.args as [
  string,
  string,
  string,
  string,
];
const connection = await connect({ servers, maxReconnectAttempts: -1 });
console.log("connected");
const sink = jetStreamSink(connection, { stream, subject, timeoutMs: 2000 });
await ship(new LogReader(dir), sink, { cursor: "edge", maxBytes: 50_000 }).done;
