/** Directories that a real Iggy server wrote, opened as logs. */
import { assert, assertEquals } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { answeredHeaders, headersOf, idText } from "../iggy/messages.ts";
import {
  type Answer,
  serverWrote,
  SKIPPED,
  WITHOUT_SEGMENTS,
} from "../iggy/segments.ts";
import { drain, payload, testPool } from "./support.ts";

async function assertAnswers(
  log: Log,
  answers: readonly Answer[],
): Promise<void> {
  let n = 0;
  for await (using batch of log.read({ count: answers.length })) {
    for (let i = 0; i < batch.count; i++, n++) {
      const answer = answers[n]!;
      const message = batch.message(i);
      assertEquals(message.offset, answer.offset);
      assertEquals(message.id, idText(answer.id));
      assertEquals(message.timestamp, answer.timestamp);
      assertEquals(message.originTimestamp, answer.origin_timestamp);
      assertEquals(message.payload.length, answer.payload_length);
      const digest = await crypto.subtle.digest("SHA-256", message.payload);
      assertEquals(new Uint8Array(digest).toHex(), answer.payload_sha256);
      assertEquals(
        headersOf(message),
        answeredHeaders(answer.user_headers),
      );
    }
  }
  assertEquals(n, answers.length);
}

for (const name of ["small", "rotated"]) {
  Deno.test({
    name:
      `a server's directory '${name}' opens as a log, reads back as it answered, and goes on${SKIPPED}`,
    ignore: WITHOUT_SEGMENTS,
    fn: async () => {
      const [source, answers] = serverWrote(name);
      const count = answers.length;
      const dir = Deno.makeTempDirSync({ prefix: "basalt_iggy_" });
      const pool = testPool();
      try {
        const names = [...Deno.readDirSync(source)].map((entry) => entry.name);
        const originals = new Map<string, Uint8Array>();
        for (const file of names) {
          const bytes = Deno.readFileSync(new URL(file, source));
          originals.set(file, bytes);
          Deno.writeFileSync(`${dir}/${file}`, bytes);
        }
        const options = { pool, prepareBytes: 0 };
        {
          await using log = await Log.open(dir, options);
          assertEquals([log.firstOffset, log.nextOffset], [0, count]);
          assertEquals(log.stats().opening, {
            recovered: [],
            kept: [],
            foreign: [],
          });
          await assertAnswers(log, answers);
          for (let i = 0; i < 5; i++) {
            assertEquals(log.append(payload(i, 100 * i)), count + i);
          }
          await log.whenDurable(count + 4);
        }
        // Only the last pair has grown, at its end.
        const last = names.filter((file) => file.endsWith(".log")).sort().at(
          -1,
        )!;
        assertEquals(
          [...Deno.readDirSync(dir)].map((entry) => entry.name).sort(),
          names.sort(),
        );
        for (const [file, bytes] of originals) {
          const now = Deno.readFileSync(`${dir}/${file}`);
          assertEquals(now.subarray(0, bytes.length), bytes);
          const grown = file === last ||
            file === last.replace(".log", ".index");
          assertEquals(now.length > bytes.length, grown, file);
        }
        for (const create of [Log.open, Log.openSync]) {
          await using log = await create(dir, options);
          assertEquals(log.nextOffset, count + 5);
          await assertAnswers(log, answers);
          const added = await drain(log, { from: count });
          assertEquals(
            added.map((each) => each.payload),
            [0, 1, 2, 3, 4].map((i) => payload(i, 100 * i)),
          );
          const times = [
            ...answers.map(({ timestamp }) => timestamp),
            ...added.map(({ timestamp }) => timestamp),
          ];
          assert(times.every((time, i) => i === 0 || time >= times[i - 1]!));
        }
        // Its indexes serve to find a place.
        await using log = await Log.open(dir, options);
        for (let from = 0; from <= count; from += 13) {
          const read = await drain(log, { from, count: 2 });
          assertEquals(read[0]!.offset, from);
        }
        const since = answers[count >> 1]!.timestamp;
        const [first] = await drain(log, { since, count: 1 });
        assertEquals(
          first!.offset,
          answers.find(({ timestamp }) => timestamp >= since)!.offset,
        );
      } finally {
        pool.close();
        Deno.removeSync(dir, { recursive: true });
      }
    },
  });

  Deno.test({
    name:
      `a server's directory '${name}' opens as a log after its server was killed: torn, or without indexes${SKIPPED}`,
    ignore: WITHOUT_SEGMENTS,
    fn: async () => {
      const [source, answers] = serverWrote(name);
      const names = [...Deno.readDirSync(source)].map((entry) => entry.name)
        .sort();
      for (const spoiled of ["torn", "without indexes"]) {
        const dir = Deno.makeTempDirSync({ prefix: "basalt_iggy_" });
        const pool = testPool();
        try {
          for (const file of names) {
            if (spoiled !== "torn" && file.endsWith(".index")) continue;
            const bytes = Deno.readFileSync(new URL(file, source));
            const torn = spoiled === "torn" && file === names.at(-1);
            Deno.writeFileSync(
              `${dir}/${file}`,
              torn ? bytes.subarray(0, -1) : bytes,
            );
          }
          const left = spoiled === "torn" ? answers.slice(0, -1) : answers;
          await using log = await Log.open(dir, { pool, prepareBytes: 0 });
          assertEquals(log.nextOffset, left.length);
          await assertAnswers(log, left);
          await log.close();
          for (const file of names.filter((each) => each.endsWith(".index"))) {
            if (spoiled === "torn") break;
            assertEquals(
              Deno.readFileSync(`${dir}/${file}`),
              Deno.readFileSync(new URL(file, source)),
            );
          }
        } finally {
          pool.close();
          Deno.removeSync(dir, { recursive: true });
        }
      }
    },
  });
}
