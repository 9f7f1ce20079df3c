import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FILES } from "../permissions.ts";
import { assertBytes } from "../log/recovery/_support.ts";
import { basalt, Directory } from "./_support.ts";

/** Binary input in which terminators are frequent. */
const INPUT = fc.array(
  fc.oneof(
    fc.constantFrom("\n", "\0", "\r\n", "\n\n", "\0\0").map((text) =>
      new TextEncoder().encode(text)
    ),
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ maxLength: 3000 }),
  ),
  { maxLength: 30 },
).map((parts) => new Uint8Array(parts.flatMap((part) => [...part])));

/** Finds the lines byte by byte, each with its terminator. */
function linesOf(input: Uint8Array, terminator: number): number[] {
  const lengths: number[] = [];
  let length = 0;
  for (const byte of input) {
    length++;
    if (byte !== terminator) continue;
    lengths.push(length);
    length = 0;
  }
  return length > 0 ? [...lengths, length] : lengths;
}

Deno.test(
  "basalt read --raw prints the bytes that ingest read, and a message is a line with its terminator",
  { ignore: !FILES },
  async () => {
    using dir = new Directory();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        INPUT,
        fc.boolean(),
        fc.option(fc.integer({ min: 1, max: 700 }), { nil: undefined }),
        async (input, nul, partBytes) => {
          const log = dir.file(`log${run++}`);
          const flags = ["--into", log, "--json", ...(nul ? ["--null"] : [])];
          Deno.writeFileSync(dir.file("input"), input);
          const ingested = partBytes === undefined
            ? await basalt(["ingest", dir.file("input"), ...flags])
            : await basalt(["ingest", "-", ...flags], input, partBytes);
          assertEquals(ingested.code, 0, ingested.errors);
          const lengths = linesOf(input, nul ? 0 : 10);
          assertEquals(JSON.parse(ingested.out), {
            messages: lengths.length,
            bytes: input.length,
            firstOffset: 0,
            path: log,
          });
          const raw = await basalt(["read", log, "--raw"]);
          assertBytes(raw.bytes, input);
          const lines = (await basalt(["read", log, "--json"])).out.split("\n");
          assertEquals(lines.pop(), "");
          const read = lines.map((line) => JSON.parse(line));
          assertEquals(read.map(({ offset }) => offset), [...lengths.keys()]);
          assertBytes(
            new Uint8Array(read.flatMap((each) => [...payloadOf(each)])),
            input,
          );
          assertEquals(
            read.map((each) => payloadOf(each).length),
            lengths,
          );
          Deno.removeSync(log, { recursive: true });
        },
      ),
      { numRuns: 60 },
    );
  },
);

function payloadOf(
  { text, base64 }: { text?: string; base64?: string },
): Uint8Array {
  return text === undefined
    ? Uint8Array.fromBase64(base64!)
    : new TextEncoder().encode(text);
}

Deno.test(
  "basalt ingest appends after an earlier ingest",
  { ignore: !FILES },
  async () => {
    using dir = new Directory();
    const log = dir.file("log");
    for (const text of ["a\nb", "c\n"]) {
      const input = new TextEncoder().encode(text);
      assertEquals(
        (await basalt(["ingest", "-", "--into", log], input)).code,
        0,
      );
    }
    assertEquals((await basalt(["read", log, "--raw"])).out, "a\nbc\n");
    assertEquals(
      (await basalt(["read", log, "--raw", "--from", "1"])).out,
      "bc\n",
    );
    assertEquals(
      (await basalt(["read", log, "--raw", "--count", "1"])).out,
      "a\n",
    );
  },
);

Deno.test(
  "basalt read --since takes a date or microseconds, and skips older messages",
  { ignore: !FILES },
  async () => {
    using dir = new Directory();
    const log = dir.file("log");
    await basalt(
      ["ingest", "-", "--into", log],
      new TextEncoder().encode("a\n"),
    );
    const { timestamp } = JSON.parse(
      (await basalt(["read", log, "--json"])).out,
    );
    const since = async (time: string): Promise<string> =>
      (await basalt(["read", log, "--raw", "--since", time])).out;
    assertEquals(await since(String(timestamp)), "a\n");
    assertEquals(await since(String(timestamp + 1)), "");
    assertEquals(await since("2001-01-01T00:00:00Z"), "a\n");
    assertEquals(await since("2222-01-01"), "");
  },
);

Deno.test(
  "basalt ingest refuses a line above the maximum by number: in a file before it appends anything, in a stream when the line arrives",
  { ignore: !FILES },
  async () => {
    using dir = new Directory();
    const input = new Uint8Array(4 + 64_000_001);
    input.fill(0x78);
    input.set(new TextEncoder().encode("a\nb\n"));
    input[input.length - 1] = 10;
    const log = dir.file("log");
    Deno.writeFileSync(dir.file("input"), input);
    const file = await basalt(["ingest", dir.file("input"), "--into", log]);
    assertEquals(file.code, 1);
    assert(/Line 3 has at least 64000001 bytes/.test(file.errors), file.errors);
    assert(file.errors.includes("Nothing was appended"), file.errors);
    let made = true;
    try {
      Deno.statSync(log);
    } catch {
      made = false;
    }
    assertEquals(made, false);

    const stream = await basalt(["ingest", "-", "--into", log], input);
    assertEquals(stream.code, 1);
    assert(/Line 3 has/.test(stream.errors), stream.errors);
    assert(/2 messages .* durable/.test(stream.errors), stream.errors);
    assertEquals((await basalt(["read", log, "--raw"])).out, "a\nb\n");

    // One byte less fits, as a message of the largest size.
    const largest = input.subarray(5);
    const fits = await basalt(
      ["ingest", "-", "--into", dir.file("fits")],
      largest,
    );
    assertEquals(fits.code, 0, fits.errors);
    const raw = await basalt(["read", dir.file("fits"), "--raw"]);
    assertBytes(raw.bytes, largest);
  },
);
