/** Segments that real Iggy servers wrote, imported, and exported again. */
import { assert, assertEquals } from "@std/assert";
import {
  exportToIggy,
  exportToIggySync,
  importFromIggy,
  importFromIggySync,
} from "../../lib/iggy/mod.ts";
import { answeredHeaders, headersOf, idText } from "./_messages.ts";
import { type Answer, BATCH_SEGMENTS, SEGMENTS } from "./_recorded.ts";
import { logNames, readBatches, readDirectory, testPool } from "./_support.ts";

const RECORDED = [
  ["0.8", "small", 167],
  ["0.8", "rotated", 648],
  ["0.9", "small", 170],
  ["0.9", "rotated", 2200],
] as const;

for (const [format, name, count] of RECORDED) {
  for (
    const [way, take, give] of [
      ["importFromIggy", importFromIggy, exportToIggy],
      ["importFromIggySync", importFromIggySync, exportToIggySync],
    ] as const
  ) {
    Deno.test({
      name:
        `${way}() gives the messages of a server's segments '${name}' of Iggy ${format} as in its replies${
          (format === "0.8" ? SEGMENTS : BATCH_SEGMENTS).skipped
        }`,
      ignore: (format === "0.8" ? SEGMENTS : BATCH_SEGMENTS).isMissing,
      fn: async () => {
        const [source, answers] = recorded(format, name);
        const dir = Deno.makeTempDirSync({ prefix: "basalt_iggy_" });
        const pool = testPool();
        try {
          const report = await take(source, `${dir}/log`, { pool });
          assertEquals(
            [report.isDone, report.format, report.firstOffset, report.messages],
            [true, format, 0, answers.length],
          );
          assertEquals(report.nextOffset, answers.length);
          const messages = readBatches(readDirectory(`${dir}/log`));
          assertEquals(messages.length, answers.length);
          for (const [i, answer] of answers.entries()) {
            const message = messages[i]!;
            assertEquals(message.offset, answer.offset);
            assertEquals(message.id, idText(answer.id));
            assertEquals(message.timestamp, answer.timestamp);
            assertEquals(message.originTimestamp, answer.origin_timestamp);
            const digest = await crypto.subtle.digest(
              "SHA-256",
              message.payload,
            );
            assertEquals(new Uint8Array(digest).toHex(), answer.payload_sha256);
            assertEquals(
              headersOf(message),
              answeredHeaders(answer.user_headers),
            );
          }
          // And back, byte for byte.
          await give(`${dir}/log`, `${dir}/back`, { pool, format });
          const [before, after] = [source, `${dir}/back`].map(readDirectory);
          const names = format === "0.8"
            ? [...before!.keys()]
            : logNames(before!);
          for (const each of names) {
            assert(
              equalBytes(before!.get(each)!, after!.get(each)!),
              `${each} differs`,
            );
          }
          assertEquals(logNames(after!), logNames(before!));
          assertEquals(count, answers.length);
        } finally {
          pool.close();
          Deno.removeSync(dir, { recursive: true });
        }
      },
    });
  }
}

/** Returns the directory of the segments of a format and a name, and the server's replies. */
function recorded(
  format: "0.8" | "0.9",
  name: string,
): [source: URL, answers: Answer[]] {
  if (format === "0.8") return SEGMENTS.read(name);
  const [source, answers] = BATCH_SEGMENTS.read(name);
  return [
    source,
    answers.map(({ header, ...rest }) => ({ ...header, ...rest })),
  ];
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
