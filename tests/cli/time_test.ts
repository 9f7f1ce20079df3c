/** The times that options take. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { time } from "../../lib/cli/_amounts.ts";
import { formatTime } from "../../lib/cli/_terminal.ts";
import { ALL } from "../permissions.ts";

const HOUR = 3_600_000_000;

Deno.test("time() takes every time that read and inspect print, to the microsecond", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (micros) => {
    assertEquals(time(formatTime(micros)), micros);
    if (micros >= 1e15) assertEquals(time(String(micros)), micros);
  }));
});

Deno.test("time() takes durations ago and now", () => {
  const before = Date.now() * 1000;
  const cases = { now: 0, "90s": 90e6, "15m": HOUR / 4, "2h": 2 * HOUR };
  for (const [text, ago] of Object.entries({ ...cases, "7d": 168 * HOUR })) {
    const from = time(text) + ago - before;
    assert(from >= -1000 && from < 10e6, `${text}: ${from} us`);
  }
  assertEquals(time("999999d"), 0);
});

Deno.test("time() refuses what is neither an ISO 8601 time nor a duration nor microseconds", () => {
  const seconds = Math.floor(Date.now() / 1000);
  for (
    const text of [
      ...[seconds, Date.now(), 20261124, 2026, 20261124160000].map(String),
      ...["05.11.2026", "11/12/2026", "-3", "today 5", "last week 12"],
      ...["1 hour ago", "2 h", "-2h", "1.5h", "2H", "10:30", "yesterday"],
      ...["2026-02-30", "2026-13-01", "2026-11-31", "2026-11-24T25:00"],
      ...["2026-11-24T16", "2026-11-24T16:00:61", "2026-11-24Z"],
      ...["2026-11-24T16:00 Z", "", " ", "2300-01-01", "99999999999999999"],
    ]
  ) assertThrows(() => time(text), Error, "Give", text);
});

Deno.test(
  "time() without a zone is local time",
  { ignore: !ALL },
  async () => {
    const utc = Date.UTC(2026, 10, 24, 16) * 1000;
    for (
      const [zone, offset] of [
        ["UTC", 0],
        ["Europe/Berlin", 1],
        // In the southern summer.
        ["Pacific/Auckland", 13],
      ] as const
    ) {
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-check",
          // Without any permission, as the program has none for the environment.
          "--no-prompt",
          new URL("time_child.ts", import.meta.url).pathname,
          "2026-11-24T16:00",
          "2026-11-24 16:00:00.000001",
          "2026-11-24",
          "2026-11-24T16:00Z",
          "2026-11-24T16:00:00+05:30",
        ],
        env: { TZ: zone },
      }).output();
      const text = new TextDecoder();
      assertEquals(
        JSON.parse(text.decode(stdout)),
        [
          utc - offset * HOUR,
          utc - offset * HOUR + 1,
          utc - (16 + offset) * HOUR,
          utc,
          utc - 5.5 * HOUR,
        ],
        text.decode(stderr),
      );
    }
  },
);
