/** Segments that a real Iggy server wrote, compared with its replies to polls. */
import { assertEquals } from "@std/assert";
import {
  MessageScan,
  readIndexEntry,
  readMessage,
  STOP,
} from "../../../lib/codec/legacy/mod.ts";
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
          assertEquals(
            headersOf(message),
            answeredHeaders(answer.user_headers),
          );
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
