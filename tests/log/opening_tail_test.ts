/** Opening reads the partly filled last blocks, which the writer then writes again: what is in them must be what the disk holds. */
import { assertEquals, assertThrows } from "@std/assert";
import type { SimulatedDisk } from "@basalt/io/testing";
import { filesOf, make, MARK, on, withLog } from "./recovery_support.ts";
import { payload, segment } from "./support.ts";

/** Every bit of a read that this test flips: in headers, payloads and index entries. */
const BITS = [0, 8 * 8, 8 * 30, 8 * 70 + 3, 8 * 130];

function reads(disk: SimulatedDisk): number {
  return disk.trace.filter(({ kind }) => kind === "read").length;
}

for (const marked of [false, true]) {
  const state = marked ? "left by a crash" : "closed";
  const made = make(0, [100, 200]);
  const files = { ...filesOf(made), ...marked ? MARK : {} };

  Deno.test(`Opening: a bit that is wrong in one read of a log ${state} is not written back`, async () => {
    for (const flipBit of BITS) {
      for (let number = 1, all = 1; number <= all; number++) {
        await on(files, (place) => {
          const disk = place.storage;
          disk.failAt(number, { flipBit }, { kind: "read" });
          try {
            withLog(place, (log) => {
              all = Math.max(all, reads(disk));
              // A wrong bit where recovery looks for the end is a torn write to it, which is told.
              if (log.nextOffset < 2) return;
              log.append(payload(2, 10));
            });
          } catch {
            // What cannot be believed is refused, and nothing is changed.
          }
          const log = place.bytes(`${segment(0)}.log`);
          const kept = log.subarray(0, made.log.length);
          if (kept.length === made.log.length) assertEquals(kept, made.log);
        });
      }
    }
  });
}

Deno.test("Opening: a device that gives other bytes each time is refused", async () => {
  await on(filesOf(make(0, [100, 200])), (place) => {
    let turn = 0;
    place.storage.onOperation(({ kind, path }) => {
      if (kind === "read" && path.endsWith(".log")) return { flipBit: turn++ };
    });
    assertThrows(
      () => withLog(place, () => {}),
      Deno.errors.InvalidData,
      "gives other bytes each time",
    );
  });
});
