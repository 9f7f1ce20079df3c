/**
 * The codec beside a plain copy of the same bytes: 1 MiB of messages with payloads of 100 bytes or
 * 1 KiB, in one batch.
 *
 * Run with `deno bench --allow-ffi --allow-read bench/codec_bench.ts`.
 */
import {
  BatchScan,
  encodeUserHeaders,
  findBatch,
  layPayloads,
  readFrame,
  RECORD_BATCH_START,
  RECORD_BYTES,
  seal,
} from "../lib/codec/mod.ts";

const MAX = Number.MAX_SAFE_INTEGER;
const TIME = 1_700_000_000_000_000;
const seed = crypto.getRandomValues(new Uint8Array(32));
const noise = randomBytes(2 ** 20);

for (const payloadBytes of [100, 1024]) {
  const count = Math.floor(2 ** 20 / (payloadBytes + 64));
  const group = `${count} messages of ${payloadBytes} bytes`;
  const source = randomBytes(count * payloadBytes);
  const lengths = new Uint32Array(count).fill(payloadBytes);

  const length = 256 + count * (48 + payloadBytes);
  const bytes = new Uint8Array(
    Math.ceil(length / 8) * 8 + RECORD_BYTES * count,
  );
  const start = 256;
  const end = bytes.length;
  const lay = { source, sourceStart: 0, lengths, first: 0, bytes, start, end };
  const layAll = () => layPayloads({ ...lay, recordCount: 0 });
  const sealRun = { bytes, start: 0, count, baseOffset: 0, seed };
  const words = new Uint32Array(bytes.buffer);
  const sealAll = () => {
    words[words.length - 1] = RECORD_BATCH_START;
    return seal({ ...sealRun, baseTimestamp: TIME });
  };
  layAll();
  const log = bytes.subarray(0, sealAll());
  const scan = new BatchScan(count);

  const target = new Uint8Array(log.length);

  Deno.bench({ name: "copy", group, baseline: true }, () => {
    target.set(log);
  });
  Deno.bench({ name: "layPayloads()", group }, () => {
    layAll();
  });
  Deno.bench({ name: "seal()", group }, () => {
    sealAll();
  });
  Deno.bench({ name: "BatchScan.run()", group }, () => {
    if (scan.run(log, 0, 0) !== count) throw new Error("Cannot scan the log");
  });
  Deno.bench({ name: "readFrame(), payload and offset of each", group }, () => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const message = readFrame(log, scan.starts[i]!, 0);
      sum += message.offset + message.payload.length;
    }
    if (sum === 0) throw new Error("The sum cannot be 0");
  });
}

for (
  const [name, bytes] of [["random", noise], [
    "zeros",
    noise.map(() => 0),
  ]] as const
) {
  const group = `1 MiB of ${name} bytes`;
  Deno.bench({ name: "findBatch()", group, baseline: true }, () => {
    if (findBatch(bytes, 0, 0, MAX).position !== undefined) {
      throw new Error("This cannot be a batch");
    }
  });
}

Deno.bench("encodeUserHeaders(), three headers", () => {
  encodeUserHeaders({ source: "sensor-7", ok: true, attempt: 2 });
});

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65536));
  }
  return bytes;
}
