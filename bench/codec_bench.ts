/**
 * The codec beside a plain copy of the same bytes: 1 MiB of messages with 100 bytes of payload each.
 *
 * Run with `deno bench --allow-ffi --allow-read bench/codec_bench.ts`.
 */
import {
  encodeUserHeaders,
  findMessage,
  MessageScan,
  readMessage,
  stamp,
} from "../lib/codec/mod.ts";

const PAYLOAD_BYTES = 100;
const MESSAGE_BYTES = 64 + PAYLOAD_BYTES;
const COUNT = Math.floor(2 ** 20 / MESSAGE_BYTES);
const MAX = Number.MAX_SAFE_INTEGER;

const bytes = new Uint8Array(COUNT * MESSAGE_BYTES);
const target = new Uint8Array(bytes.length);
const records = new Uint32Array(2 * COUNT);
for (let i = 0; i < COUNT; i++) records[2 * i] = PAYLOAD_BYTES;
const run = {
  bytes,
  start: 0,
  records,
  count: COUNT,
  index: new Uint8Array(16 * COUNT),
  firstOffset: 0,
  timestamp: 1_700_000_000_000_000,
  relativeOffset: 0,
  position: 0,
  seed: crypto.getRandomValues(new Uint8Array(32)),
};
stamp(run);
const scan = new MessageScan(COUNT);
const noise = new Uint8Array(bytes.length);
for (let at = 0; at < noise.length; at += 65536) {
  crypto.getRandomValues(noise.subarray(at, at + 65536));
}

const group = `1 MiB, ${COUNT} messages`;

Deno.bench({ name: "copy", group, baseline: true }, () => {
  target.set(bytes);
});

Deno.bench({ name: "stamp()", group }, () => {
  stamp(run);
});

Deno.bench({ name: "MessageScan.run()", group }, () => {
  if (scan.run(bytes, 0, 0) !== COUNT) throw new Error("Cannot scan the run");
});

Deno.bench({ name: "findMessage() in random bytes", group }, () => {
  if (findMessage(noise, 0, 0, MAX).position !== undefined) {
    throw new Error("Cannot be a message");
  }
});

Deno.bench({ name: "readMessage(), payload and offset of each", group }, () => {
  let sum = 0;
  for (let i = 0; i < COUNT; i++) {
    const message = readMessage(
      bytes,
      i * MESSAGE_BYTES,
      PAYLOAD_BYTES,
      MESSAGE_BYTES,
    );
    sum += message.offset + message.payload.length;
  }
  if (sum === 0) throw new Error("Cannot be nothing");
});

Deno.bench("encodeUserHeaders(), three headers", () => {
  encodeUserHeaders({ source: "sensor-7", ok: true, attempt: 2 });
});
