/** Segments that a real Iggy server wrote, compared with its replies to polls. */
import { assertEquals } from "@std/assert";
import { decodeUserHeaders, formatUuid } from "../../../lib/codec/mod.ts";
import { Gathering, readIndexEntry } from "../../../lib/codec/legacy/mod.ts";
import { parsed } from "./_naive.ts";
import { answeredHeaders, headersOf, idText } from "../../iggy/_messages.ts";
import { SEGMENTS } from "../../iggy/_recorded.ts";

for (const [name, count] of [["small", 167], ["rotated", 648]] as const) {
  Deno.test({
    name:
      `MessageScan reads a server's segments '${name}' like its replies${SEGMENTS.skipped}`,
    ignore: SEGMENTS.isMissing,
    fn: async () => {
      const [directory, answers] = SEGMENTS.read(name);
      assertEquals(answers.length, count);
      const logs = [...Deno.readDirSync(directory)].map((entry) => entry.name)
        .filter((file) => file.endsWith(".log")).sort();
      let next = 0;
      for (const log of logs) {
        const first = Number(log.slice(0, 20));
        assertEquals(first, next);
        const bytes = Deno.readFileSync(new URL(log, directory));
        const index = Deno.readFileSync(
          new URL(log.replace(".log", ".index"), directory),
        );
        const gathering = new Gathering(first, 0);
        gathering.run(bytes, 0, true, new Uint8Array(5 * bytes.length));
        const { stop, sourceEnd, count: found } = gathering;
        assertEquals([stop, sourceEnd], ["end", bytes.length]);
        assertEquals(index.length, 16 * found);
        for (let i = 0, start = 0; i < found; i++) {
          const answer = answers[next + i]!;
          const message = parsed(bytes.subarray(start))!;
          const { payload } = message;
          const userHeaders = decodeUserHeaders(message.headers);
          const end = start + 64 + payload.length + message.headers.length;
          assertEquals(Number(message.offset), answer.offset);
          assertEquals(formatUuid(message.id), idText(answer.id));
          assertEquals(Number(message.timestamp), answer.timestamp);
          assertEquals(Number(message.origin), answer.origin_timestamp);
          assertEquals(payload.length, answer.payload_length);
          const view = new DataView(bytes.buffer, start, 8);
          assertEquals(String(view.getBigUint64(0, true)), answer.checksum);
          const digest = await crypto.subtle.digest(
            "SHA-256",
            payload.slice(),
          );
          assertEquals(new Uint8Array(digest).toHex(), answer.payload_sha256);
          assertEquals(
            headersOf({ userHeaders }),
            answeredHeaders(answer.user_headers),
          );
          assertEquals(readIndexEntry(index, i), {
            relativeOffset: i,
            position: end,
            timestamp: answer.timestamp,
          });
          start = end;
        }
        next += found;
      }
      assertEquals(next, count);
    },
  });
}
