/** Segments that a real Iggy server wrote, against what it answered when polled for them. */
import { assert, assertEquals } from "@std/assert";
import {
  encodeUserHeaders,
  formatUuid,
  MessageScan,
  readIndexEntry,
  readMessage,
  STOP,
} from "../../lib/codec/mod.ts";
import { FILES } from "../permissions.ts";

const SEGMENTS = new URL("../../../shared/iggy/segments/", import.meta.url);

/** A line of the `.ndjson`. Numbers above 2^53 are in strings there. */
interface Answer {
  offset: number;
  id: string;
  checksum: string;
  timestamp: number;
  origin_timestamp: number;
  payload_length: number;
  payload_sha256: string;
  user_headers: {
    key: { kind: string; value: string };
    value: { kind: string; value: string };
  }[];
}

function reasonToSkip(): string | undefined {
  if (!FILES) return "no permission to read files";
  try {
    Deno.statSync(SEGMENTS);
    return undefined;
  } catch {
    return "../shared/iggy/segments is missing";
  }
}

const skip = reasonToSkip();

/** An id as the server prints it: the 16 bytes as one little-endian number. */
function idText(decimal: string): string {
  const bytes = new Uint8Array(16);
  let rest = BigInt(decimal);
  for (let i = 0; i < 16; i++, rest >>= 8n) bytes[i] = Number(rest & 255n);
  return formatUuid(bytes);
}

for (const [name, count] of [["small", 167], ["rotated", 648]] as const) {
  Deno.test({
    name: `a server's segments '${name}' decode to what it answered${
      skip === undefined ? "" : ` (skipped: ${skip})`
    }`,
    ignore: skip !== undefined,
    fn: async () => {
      const answers: Answer[] = Deno.readTextFileSync(
        new URL(`${name}.ndjson`, SEGMENTS),
      ).trim().split("\n").map((line) => JSON.parse(line));
      assertEquals(answers.length, count);
      const directory = new URL(`${name}/`, SEGMENTS);
      const logs = [...Deno.readDirSync(directory)].map((entry) => entry.name)
        .filter((file) => file.endsWith(".log")).sort();
      const scan = new MessageScan();
      let next = 0;
      for (const log of logs) {
        const first = Number(log.slice(0, 20));
        assertEquals(first, next);
        const bytes = Deno.readFileSync(new URL(log, directory));
        const index = Deno.readFileSync(
          new URL(log.replace(".log", ".index"), directory),
        );
        const found = scan.run(bytes, 0, first);
        assertEquals([scan.stop, scan.end], [STOP.END, bytes.length]);
        assertEquals(index.length, 16 * found);
        for (let i = 0; i < found; i++) {
          const start = scan.starts[i]!;
          const end = scan.starts[i + 1]!;
          const answer = answers[next + i]!;
          const length = scan.lengths[i]!;
          const message = readMessage(bytes, start, length, end - start);
          assertEquals(message.offset, answer.offset);
          assertEquals(message.id, idText(answer.id));
          assertEquals(message.timestamp, answer.timestamp);
          assertEquals(message.originTimestamp, answer.origin_timestamp);
          assertEquals(message.payload.length, answer.payload_length);
          const view = new DataView(bytes.buffer, start, 8);
          assertEquals(String(view.getBigUint64(0, true)), answer.checksum);
          const digest = await crypto.subtle.digest("SHA-256", message.payload);
          assertEquals(new Uint8Array(digest).toHex(), answer.payload_sha256);
          compareHeaders(message.userHeaders, answer);
          assertEquals(readIndexEntry(index, i), {
            relativeOffset: i,
            position: end,
            timestamp: answer.timestamp,
          });
        }
        next += found;
      }
      assertEquals(next, count);
    },
  });
}

/** The server keeps headers in a hash table: their order in its answers means nothing. */
function compareHeaders(
  headers: ReturnType<typeof readMessage>["userHeaders"],
  answer: Answer,
): void {
  const expected = answer.user_headers.map(({ key, value }) =>
    [key, value].map((field) =>
      `${field.kind} ${Uint8Array.fromBase64(field.value).toHex()}`
    ).join(" ")
  );
  const found = headers.map((header) => {
    // An encoding of this header alone: kind, length, bytes; kind, length, bytes.
    const bytes = encodeUserHeaders([header]);
    const keyEnd = 5 + bytes[1]!;
    return `${header.key.kind} ${
      bytes.subarray(5, keyEnd).toHex()
    } ${header.value.kind} ${bytes.subarray(keyEnd + 5).toHex()}`;
  });
  assertEquals(found.sort(), expected.sort());
  assert(new Set(found).size === found.length);
}
