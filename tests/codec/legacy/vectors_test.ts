/** The vectors of the format. */
import { assertEquals } from "@std/assert";
import { BatchScan, readFrame } from "../../../lib/codec/mod.ts";
import {
  EXPAND_STOP,
  Expansion,
  Gathering,
  readIndexEntry,
} from "../../../lib/codec/legacy/mod.ts";
import { counting, TIME, written } from "./_naive.ts";

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

Deno.test("Gathering and Expansion keep messages A and B and their index, byte for byte", () => {
  const source = Uint8Array.fromHex(MESSAGE_A + MESSAGE_B);
  const batch = new Uint8Array(1000);
  const gathering = new Gathering(0, 0);
  gathering.run(source, 0, true, batch);
  assertEquals(gathering.stop, "end");
  assertEquals(gathering.batchCount, 1);
  assertEquals(gathering.targetEnd, 379);
  // The batch of the format's vectors, from its origin timestamp on, because the times of its
  // messages differ.
  const bytes = batch.subarray(0, gathering.targetEnd);
  const scan = new BatchScan();
  assertEquals(scan.run(bytes, 0, 0), 2);
  const [a, b] = [0, 1].map((i) => readFrame(bytes, scan.starts[i]!, 0));
  assertEquals(a!.id, "01000000-0000-0000-0000-000000000000");
  assertEquals([a!.text(), a!.userHeaders], ["hello", []]);
  assertEquals([b!.offset, b!.timestamp], [1, TIME]);
  assertEquals(b!.id, "00112233-4455-4677-8899-aabbccddeeff");
  assertEquals([b!.originTimestamp, b!.text()], [TIME - 1, "world!!"]);
  assertEquals(b!.userHeaders, [{
    key: { kind: "string", value: "k" },
    value: { kind: "uint32", value: 42 },
  }]);
  const expansion = new Expansion();
  expansion.begin(0, 1000);
  const [target, index] = [new Uint8Array(155), new Uint8Array(32)];
  expansion.run(bytes, 0, target, index);
  assertEquals(expansion.stop, EXPAND_STOP.END);
  assertEquals(target.toHex(), MESSAGE_A + MESSAGE_B);
  assertEquals(index.toHex(), INDEX);
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

Deno.test("Gathering agrees with the vectors and the specification of XXH3 on each of its paths", () => {
  for (const [length, checksum] of CHECKSUMS) {
    const bytes = written({
      id: Uint8Array.of(0x2a, ...new Uint8Array(15)),
      offset: 7n,
      timestamp: BigInt(TIME),
      origin: BigInt(TIME - 1),
      payload: counting(length),
      headers: new Uint8Array(0),
    });
    const found = new DataView(bytes.buffer).getBigUint64(0, true);
    assertEquals(found.toString(16).padStart(16, "0"), checksum);
    const gathering = new Gathering(7, 0);
    gathering.run(bytes, 0, true);
    assertEquals(gathering.isFull, true, `payload of ${length}`);
  }
});
