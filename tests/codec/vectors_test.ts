/** The vectors of the format (`docs/format.md`). */
import { assertEquals, assertThrows } from "@std/assert";
import {
  batchBaseOffsetAt,
  batchCountAt,
  batchLengthAt,
  batchOriginTimestampAt,
  BatchScan,
  batchTimestampAt,
  encodeUserHeaders,
  findBatch,
  frameIdAt,
  frameOffsetDeltaAt,
  framePayloadLengthAt,
  frameTimestampDeltaAt,
  frameUserHeadersLengthAt,
  INDEX_ENTRY_BYTES,
  parseUuid,
  readFrame,
  readIndexEntry,
  restamp,
  seal,
  writeIndexEntry,
} from "../../lib/codec/mod.ts";
import { laidOut } from "./_block.ts";
import { joined, parsedBatch, TIME } from "./_naive.ts";

const FRAMES =
  "8e5ca59edbbdbfb90100000000000000000000000000000000000000000000000000000005000000000000000000000068656c6c6f" +
  "f0403f4c9f0fe6c100112233445546778899aabbccddeeff01000000070000000f000000070000000000000000000000776f726c64212102010000006b0b040000002a000000";
const FIRST_HEADER =
  "0000000000000000000000000000000000401e18240a0600ff3f1e18240a06007b01000000000000c6b62b841e23bce502000000";
const PRODUCER_HEADER =
  "0000000000000000000000000000000000401e18240a0600ff3f1e18240a06007b0100000000000099723e27a61d8f930200000001000000a00f0000000000000300000011000000";
const SECOND_HEADER =
  "00000000000000000200000000000000f4411e18240a060090411e18240a06003001000000000000abf1d8705498f85101000000";
const SECOND_FRAME = "390029be5a6828e803".padEnd(96, "0");
const INDEX =
  "000000000000000000401e18240a060000000000000000000200000000000000f4411e18240a06007b01000000000000";

const hex = (text: string) => Uint8Array.fromHex(text);
const header = (text: string) => hex(text.padEnd(512, "0"));
const FIRST = joined([header(FIRST_HEADER), hex(FRAMES)]);
const PRODUCED = joined([header(PRODUCER_HEADER), hex(FRAMES)]);
const SECOND = joined([header(SECOND_HEADER), hex(SECOND_FRAME)]);
const BOTH = joined([FIRST, SECOND]);
const HEADERS = encodeUserHeaders([{
  key: { kind: "string", value: "k" },
  value: { kind: "uint32", value: 42 },
}]);
const numbered = (id: number) => Uint8Array.of(id, ...new Uint8Array(15));

Deno.test("seal() makes the batches of the vectors, byte for byte", () => {
  const encoder = new TextEncoder();
  const uuid = parseUuid("00112233-4455-4677-8899-aabbccddeeff");
  const first = laidOut([[
    { payload: encoder.encode("hello"), id: numbered(1), origin: TIME - 1 },
    {
      payload: encoder.encode("world!!"),
      headers: HEADERS,
      id: uuid,
      origin: TIME + 6,
    },
  ]]);
  const seed = new Uint8Array(32);
  const end = seal({ ...first, baseOffset: 0, baseTimestamp: TIME, seed });
  assertEquals(first.bytes.subarray(0, end).toHex(), FIRST.toHex());

  const second = laidOut([[{
    payload: new Uint8Array(0),
    id: numbered(3),
    origin: TIME + 400,
  }]]);
  assertEquals(
    seal({ ...second, baseOffset: 2, baseTimestamp: TIME + 500, seed }),
    304,
  );
  assertEquals(second.bytes.subarray(0, 304).toHex(), SECOND.toHex());
});

Deno.test("BatchScan and readFrame() read the batches of the vectors", () => {
  const scan = new BatchScan();
  assertEquals(scan.run(BOTH, 0, 0), 3);
  assertEquals([scan.stop, scan.end], ["end", BOTH.length]);
  assertEquals([...scan.starts.subarray(0, 3)], [256, 309, 635]);
  assertEquals([...scan.lengths.subarray(0, 3)], [5, 7, 0]);
  assertEquals(scan.batchCount, 2);
  assertEquals([...scan.batchStarts.subarray(0, 2)], [0, 379]);
  assertEquals([...scan.batchFirsts.subarray(0, 2)], [0, 2]);
  assertEquals([scan.nextOffset, scan.lastTimestamp], [3, TIME + 500]);

  const hello = readFrame(BOTH, 256, 0);
  assertEquals([hello.offset, hello.text()], [0, "hello"]);
  assertEquals(hello.id, "01000000-0000-0000-0000-000000000000");
  assertEquals([hello.timestamp, hello.originTimestamp], [TIME, TIME - 1]);
  assertEquals(hello.userHeaders, []);
  const world = readFrame(BOTH, 309, 0);
  assertEquals([world.offset, world.text()], [1, "world!!"]);
  assertEquals(world.id, "00112233-4455-4677-8899-aabbccddeeff");
  assertEquals([world.timestamp, world.originTimestamp], [TIME, TIME + 6]);
  assertEquals(world.userHeaders, [{
    key: { kind: "string", value: "k" },
    value: { kind: "uint32", value: 42 },
  }]);
  const empty = readFrame(BOTH, 635, 379);
  assertEquals([empty.offset, empty.text()], [2, ""]);
  assertEquals(
    [empty.timestamp, empty.originTimestamp],
    [TIME + 500, TIME + 400],
  );
});

Deno.test("BatchScan and findBatch() take the batch with a producer", () => {
  const scan = new BatchScan();
  assertEquals(scan.run(PRODUCED, 0, 0), 2);
  assertEquals([scan.stop, scan.end], ["end", PRODUCED.length]);
  assertEquals(findBatch(PRODUCED, 0, 0, 0).position, 0);
  assertEquals(parsedBatch(PRODUCED)?.frames.length, 2);
});

Deno.test("accessors read the fields of the vectors", () => {
  assertEquals(batchBaseOffsetAt(BOTH, 379), 2);
  assertEquals(batchTimestampAt(BOTH, 379), TIME + 500);
  assertEquals(batchOriginTimestampAt(BOTH, 379), TIME + 400);
  assertEquals([batchLengthAt(BOTH, 0), batchCountAt(BOTH, 0)], [379, 2]);
  assertEquals(frameOffsetDeltaAt(BOTH, 309), 1);
  assertEquals(frameTimestampDeltaAt(BOTH, 309), 7);
  assertEquals(framePayloadLengthAt(BOTH, 309), 7);
  assertEquals(frameUserHeadersLengthAt(BOTH, 309), 15);
  assertEquals(frameIdAt(BOTH, 309), "00112233-4455-4677-8899-aabbccddeeff");
});

Deno.test("readIndexEntry() and writeIndexEntry() agree with the index of the vectors", () => {
  const entries = [
    { offset: 0, timestamp: TIME, position: 0 },
    { offset: 2, timestamp: TIME + 500, position: 379 },
  ];
  const bytes = new Uint8Array(2 * INDEX_ENTRY_BYTES);
  entries.forEach((entry, i) => {
    assertEquals(readIndexEntry(hex(INDEX), i), entry);
    writeIndexEntry(bytes, i, entry);
  });
  assertEquals(bytes.toHex(), INDEX);
});

Deno.test("restamp() makes the batch without a producer of the one with it, and restores a partition", () => {
  const bytes = joined([PRODUCED, SECOND]);
  assertEquals(restamp(bytes, 0, 0), 1);
  assertEquals(bytes, BOTH);
  const kept = PRODUCED.slice();
  assertEquals(restamp(kept, 0, 7, { keepsProducers: true }), 0);
  assertEquals(new BatchScan().run(kept, 0, 0), 2);
  assertEquals(kept.subarray(256), PRODUCED.subarray(256));
  assertEquals(restamp(kept, 0, 0, { keepsProducers: true }), 0);
  assertEquals(kept, PRODUCED);
  assertThrows(() => restamp(kept, 1, 0), Error, "basalt_restamp");
  assertThrows(() => restamp(kept, 0, -1), RangeError, "'partitionId'");
  assertThrows(() => restamp(kept, 636, 0), RangeError, "'start'");
});
