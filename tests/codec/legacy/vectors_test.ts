/** The vectors of the format. */
import { assertEquals } from "@std/assert";
import {
  MessageScan,
  putId,
  putOriginTimestamp,
  readIndexEntry,
  readMessage,
  stamp,
  STOP,
} from "../../../lib/codec/legacy/mod.ts";
import {
  encodeUserHeaders,
  parseUuid,
  RECORD_ID_GIVEN,
  RECORD_ORIGIN_GIVEN,
} from "../../../lib/codec/mod.ts";
import { counting, joined, TIME } from "./naive.ts";
import { xxh3 } from "../xxh3.ts";

const MESSAGE_A =
  "b77a21d43666c84901000000000000000000000000000000000000000000000000401e18240a0600ff3f1e18240a06000000000005000000000000000000000068656c6c6f";
const MESSAGE_B =
  "4222eda6dda0c84400112233445546778899aabbccddeeff010000000000000000401e18240a0600ff3f1e18240a06000f000000070000000000000000000000776f726c64212102010000006b0b040000002a000000";
const INDEX =
  "000000004500000000401e18240a0600010000009b00000000401e18240a0600";

const CHECKSUMS: readonly [payloadLength: number, checksum: string][] = [
  [0, "26e9b5f8348d5aec"],
  [1, "a45d8848eee2a0ff"],
  [8, "47dcf589040513cc"],
  [72, "b3a823b0fbea0270"],
  [73, "bc1c2311685ff8e3"],
  [184, "5b64ac831e5eeaea"],
  [185, "3e26a3bfb4eeceb9"],
  [256, "5ef5081406a264ec"],
  [968, "8284b002ba65c59e"],
  [969, "6eee9674b4bc063e"],
  [1000, "414dfbb69f99938f"],
  [4096, "558e5be033ea6686"],
  [65536, "67f42f1c57f8e5eb"],
];

const FLAGS = RECORD_ID_GIVEN + RECORD_ORIGIN_GIVEN;

Deno.test("stamp() makes messages A and B and their index, byte for byte", () => {
  const headers = encodeUserHeaders([{
    key: { kind: "string", value: "k" },
    value: { kind: "uint32", value: 42 },
  }]);
  const room = new Uint8Array(64);
  const encoder = new TextEncoder();
  const bytes = joined([
    room,
    encoder.encode("hello"),
    room,
    encoder.encode("world!!"),
    headers,
  ]);
  putId(bytes, 0, Uint8Array.of(1, ...new Uint8Array(15)));
  putId(bytes, 69, parseUuid("00112233-4455-4677-8899-aabbccddeeff"));
  putOriginTimestamp(bytes, 0, TIME - 1);
  putOriginTimestamp(bytes, 69, TIME - 1);
  const index = new Uint8Array(32);
  stamp({
    bytes,
    start: 0,
    records: Uint32Array.of(5, FLAGS, 7, headers.length + FLAGS),
    count: 2,
    index,
    firstOffset: 0,
    timestamp: TIME,
    relativeOffset: 0,
    position: 0,
    seed: new Uint8Array(32),
  });
  assertEquals(bytes.subarray(0, 69).toHex(), MESSAGE_A);
  assertEquals(bytes.subarray(69).toHex(), MESSAGE_B);
  assertEquals(index.toHex(), INDEX);
});

Deno.test("MessageScan and readMessage() read messages A and B", () => {
  const bytes = Uint8Array.fromHex(MESSAGE_A + MESSAGE_B);
  const scan = new MessageScan();
  assertEquals(scan.run(bytes, 0, 0), 2);
  assertEquals(scan.stop, STOP.END);
  assertEquals([...scan.starts.subarray(0, 3)], [0, 69, 155]);
  assertEquals([...scan.lengths.subarray(0, 2)], [5, 7]);
  const b = readMessage(bytes, 69, 7, 86);
  assertEquals(b.offset, 1);
  assertEquals(b.id, "00112233-4455-4677-8899-aabbccddeeff");
  assertEquals(b.timestamp, TIME);
  assertEquals(b.originTimestamp, TIME - 1);
  assertEquals(new TextDecoder().decode(b.payload), "world!!");
  assertEquals(b.userHeaders, [{
    key: { kind: "string", value: "k" },
    value: { kind: "uint32", value: 42 },
  }]);
  const a = readMessage(bytes, 0, 5, 69);
  assertEquals(a.id, "01000000-0000-0000-0000-000000000000");
  assertEquals(a.userHeaders, []);
});

Deno.test("readIndexEntry() reads the index of A and B", () => {
  const bytes = Uint8Array.fromHex(INDEX);
  const timestamp = TIME;
  assertEquals(readIndexEntry(bytes, 0), {
    relativeOffset: 0,
    position: 69,
    timestamp,
  });
  assertEquals(readIndexEntry(bytes, 1), {
    relativeOffset: 1,
    position: 155,
    timestamp,
  });
});

Deno.test("stamp() takes every path of XXH3 as the vectors say, and as the specification reads", () => {
  for (const [length, checksum] of CHECKSUMS) {
    const bytes = joined([new Uint8Array(64), counting(length)]);
    putId(bytes, 0, Uint8Array.of(0x2a, ...new Uint8Array(15)));
    putOriginTimestamp(bytes, 0, TIME - 1);
    stamp({
      bytes,
      start: 0,
      records: Uint32Array.of(length, FLAGS),
      count: 1,
      index: new Uint8Array(16),
      firstOffset: 7,
      timestamp: TIME,
      relativeOffset: 0,
      position: 0,
      seed: new Uint8Array(32),
    });
    const found = new DataView(bytes.buffer).getBigUint64(0, true);
    assertEquals(found.toString(16).padStart(16, "0"), checksum);
    assertEquals(found, xxh3(bytes.subarray(8)), `payload of ${length}`);
    assertEquals(new MessageScan().run(bytes, 0, 7), 1);
  }
});
