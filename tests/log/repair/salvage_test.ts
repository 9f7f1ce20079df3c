/** Reading what is whole in a damaged log. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  Log,
  LogReader,
  planRepair,
  repairLog,
  salvageLog,
  salvageLogSync,
} from "../../../lib/log/mod.ts";
import type { LogFault, SalvageOptions } from "../../../lib/log/mod.ts";
import { FILES } from "../../permissions.ts";
import { batchesOf } from "../_support.ts";

const SMALL = { segmentBytes: 4096, prepareBytes: 0 };

interface Message {
  offset: number;
  text: string;
}

/** Writes batches of these sizes to a new log, and returns its messages. */
async function write(
  dir: string,
  counts: readonly number[],
): Promise<Message[]> {
  await using log = await Log.open(dir, SMALL);
  const messages: Message[] = [];
  for (const [i, count] of counts.entries()) {
    const texts = Array.from(
      { length: count },
      (_, n) => `batch ${i} message ${n}`,
    );
    const first = log.appendBatch(texts);
    messages.push(...texts.map((text, n) => ({ offset: first + n, text })));
    await log.flush();
  }
  return messages;
}

/** Returns what salvage gives, and what it left out. */
async function salvage(
  path: string,
  options: SalvageOptions = {},
): Promise<{ messages: Message[]; faults: LogFault[] }> {
  const messages: Message[] = [];
  const faults: LogFault[] = [];
  const onSkipped = (fault: LogFault): number => faults.push(fault);
  for await (using batch of salvageLog(path, { ...options, onSkipped })) {
    for (const { offset, payload } of batch) {
      messages.push({ offset, text: new TextDecoder().decode(payload) });
    }
  }
  const blocking: Message[] = [];
  for (using part of salvageLogSync(path, options)) {
    for (let i = 0; i < part.count; i++) {
      blocking.push({ offset: part.offset(i), text: part.text(i) });
    }
  }
  assertEquals(blocking, messages);
  return { messages, faults };
}

function logsOf(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name)
    .filter((name) => name.endsWith(".log")).sort().map((name) =>
      `${dir}/${name}`
    );
}

const COUNTS = fc.array(fc.integer({ min: 1, max: 9 }), {
  minLength: 1,
  maxLength: 12,
});

Deno.test(
  "salvageLog() gives every batch without a wrong byte, also from the .cut files of a repair",
  { ignore: !FILES },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        COUNTS,
        fc.array(
          fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 })),
          {
            maxLength: 3,
          },
        ),
        async (counts, flips) => {
          const dir = Deno.makeTempDirSync();
          try {
            const all = await write(dir, counts);
            // Naive model: a batch is lost if one of its bytes differs.
            const lost = new Set<number>();
            const paths = logsOf(dir);
            for (const path of paths) {
              const bytes = Deno.readFileSync(path);
              const whole = bytes.slice();
              const batches = batchesOf(whole);
              for (const [file, at, bits] of flips) {
                if (paths[file % paths.length] !== path) continue;
                bytes[at % bytes.length]! ^= bits;
              }
              for (const { position, end, offset, count } of batches) {
                const same = bytes.subarray(position, end)
                  .every((byte, i) => byte === whole[position + i]);
                for (let i = 0; !same && i < count; i++) lost.add(offset + i);
              }
              Deno.writeFileSync(path, bytes);
            }
            const expected = all.filter(({ offset }) => !lost.has(offset));
            const { messages, faults } = await salvage(dir);
            assertEquals(messages, expected);
            assertEquals(faults.length > 0, lost.size > 0);

            const plan = await planRepair(dir, { keep: "oldest" });
            if (plan.needed) await repairLog(dir, plan);
            const kept: Message[] = [];
            for await (using batch of new LogReader(dir).read()) {
              for (const { offset, payload } of batch) {
                kept.push({ offset, text: new TextDecoder().decode(payload) });
              }
            }
            for (const { name } of Deno.readDirSync(dir)) {
              if (!/\.\d+\.\d+\.cut$/.test(name)) continue;
              kept.push(...(await salvage(`${dir}/${name}`)).messages);
            }
            assertEquals(kept.sort((a, b) => a.offset - b.offset), expected);
          } finally {
            Deno.removeSync(dir, { recursive: true });
          }
        },
      ),
      { numRuns: 25 },
    );
  },
);

Deno.test(
  "salvageLog() reports missing messages, and takes from, count and a file",
  {
    ignore: !FILES,
  },
  async () => {
    const dir = Deno.makeTempDirSync();
    try {
      const all = await write(dir, Array(40).fill(5));
      const paths = logsOf(dir);
      assert(paths.length >= 4);
      const [, second, third] = paths as [string, string, string];
      const gone = Number(/(\d+)\.log$/.exec(second)![1]);
      const next = Number(/(\d+)\.log$/.exec(third)![1]);
      const inThird = batchesOf(Deno.readFileSync(third)).reduce(
        (sum, { count }) => sum + count,
        0,
      );
      assertEquals(
        (await salvage(third)).messages,
        all.slice(next, next + inThird),
      );
      Deno.removeSync(second);
      Deno.removeSync(second.replace(".log", ".index"));
      const { messages, faults } = await salvage(dir);
      assertEquals(messages, [...all.slice(0, gone), ...all.slice(next)]);
      assertEquals(
        faults.map(({ path, kind, message }) => ({ path, kind, message })),
        [{
          path: third,
          kind: "gap",
          message: `messages ${gone} to ${next - 1} are missing`,
        }],
      );
      const some = await salvage(dir, { from: next + 1, count: 3 });
      assertEquals(some.messages, all.slice(next + 1, next + 4));
      assertThrows(
        () => salvageLogSync(third.replace(".log", ".index")).next(),
        Deno.errors.InvalidData,
        "index entries",
      );
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);

Deno.test("salvageLog() leaves out no message of a log that is being written", {
  ignore: !FILES,
}, async () => {
  const dir = Deno.makeTempDirSync();
  try {
    await using log = await Log.open(dir, { prepareBytes: 1 << 20 });
    for (let i = 0; i < 5; i++) await log.appendDurable("message");
    const { messages, faults } = await salvage(dir);
    assertEquals([messages.length, faults], [5, []]);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});
