/**
 * Writes are whole physical blocks, and the last block is written again with its contents:
 * docs/format.md#write-blocks, docs/format.md#write-no-overlap.
 */
import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import fc from "fast-check";
import {
  at,
  batchesOf,
  faultsOfClosed,
  HEADER,
  KIB,
  openLog,
  payload,
  segment,
  WatchedPlace,
  type Written,
} from "../_support.ts";

/** Describes two writes that were in flight at the same time and touch the same byte. */
function overlap(writes: readonly Written[]): string | undefined {
  for (const [i, a] of writes.entries()) {
    for (const b of writes.slice(i + 1)) {
      const together = a.path === b.path && a.ended! > b.began;
      const touching = a.position < b.position + b.bytes.length &&
        b.position < a.position + a.bytes.length;
      if (together && touching) return `${a.path} ${a.position} ${b.position}`;
    }
  }
  return undefined;
}

/**
 * Lets some turns of the event loop pass. Some steps of a preparation begin, and some of them end.
 */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Checks a write of data against the final bytes of the file. */
function checkData(write: Written, whole: Uint8Array, ends: Set<number>): void {
  const { position, bytes } = write;
  const rest = whole.subarray(position, position + bytes.length);
  let same = 0;
  while (same < rest.length && bytes[same] === rest[same]) same++;
  const padding = bytes.subarray(same);
  assert(padding.every((byte) => byte === 0), "zeros after the data");
  // The data of this write ends where a message does. Zeros of a payload may look like padding.
  if (padding.length === 0) return;
  let end = same;
  while (end > 0 && !ends.has(position + end)) end--;
  assert(
    end === 0 ? position === 0 : bytes.subarray(end).every((b) => b === 0),
    `the write at ${position} holds half a message`,
  );
}

/** Checks all writes of a log that was closed. */
function checkWrites(place: WatchedPlace, unit: number): void {
  const { logWrites } = place.storage;
  for (const { position, bytes } of logWrites) {
    assertEquals([position % unit, bytes.length % unit], [0, 0]);
  }
  assertEquals(overlap(place.storage.writes), undefined);
  for (const name of place.names().filter((name) => name.endsWith(".log"))) {
    const whole = place.bytes(name);
    const ends = new Set(batchesOf(whole).map(({ end }) => end));
    for (const write of logWrites.filter(({ path }) => path.endsWith(name))) {
      if (!write.zeros) checkData(write, whole, ends);
    }
    const covered = logWrites.find((data) =>
      !data.zeros &&
      logWrites.some((zeros) =>
        zeros.zeros && zeros.began > data.began &&
        zeros.position < data.position + data.bytes.length
      )
    );
    assertEquals(covered, undefined, "zeros over data");
  }
  assertEquals(faultsOfClosed(place), []);
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ size: fc.nat(900) }) },
  { weight: 2, arbitrary: fc.record({ size: fc.nat(40_000) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      flush: fc.constantFrom("none" as const, "data" as const, "full" as const),
      wait: fc.boolean(),
    }),
  },
);

for (const physicalBlock of [512, 4096, 16 * KIB]) {
  Deno.test(`write-blocks: writes are multiples of a physical block of ${physicalBlock} and never overlap in flight`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.constantFrom(4 * KIB, 36 * KIB, 64 * KIB),
        fc.constantFrom(64 * KIB, 1024 * KIB),
        fc.nat(),
        async (steps, blockBytes, segmentBytes, seed) => {
          const options = { seed, physicalBlock };
          await at(new WatchedPlace(options), async (place) => {
            const log = await openLog(place, { blockBytes, segmentBytes });
            const flushes: Promise<void>[] = [];
            for (const each of steps) {
              if ("size" in each) {
                log.append(payload(log.nextOffset, each.size));
              } else {
                const flushed = log.flush({ durability: each.flush });
                flushes.push(flushed);
                if (each.wait) await flushed;
              }
            }
            await Promise.all(flushes);
            await log.close();
            checkWrites(place, physicalBlock);
          });
        },
      ),
      { numRuns: 40, seed: physicalBlock },
    );
  });
}

Deno.test("write-blocks: blocks of one flush are in flight together, and the shared one is written once", async () => {
  await at(new WatchedPlace({ seed: 3 }), async (place) => {
    const log = await openLog(place, { blockBytes: 8 * KIB });
    for (let i = 0; i < 20; i++) log.append(payload(i, 3000));
    await log.flush();
    const writes = place.storage.logWrites;
    assert(writes.length > 5);
    assert(
      writes.every(({ began }) => began - writes[0]!.began < writes.length),
    );
    const sorted = writes.toSorted((a, b) => a.position - b.position);
    for (const [i, { position, bytes }] of sorted.entries()) {
      assertEquals(
        sorted[i + 1]?.position ?? position + bytes.length,
        position + bytes.length,
      );
    }
    await log.close();
    checkWrites(place, 4096);
  });
});

Deno.test("write-blocks: the last block is written again, identical up to the old end", async () => {
  await at(new WatchedPlace(), async (place) => {
    const log = await openLog(place);
    for (let i = 0; i < 12; i++) {
      log.append(payload(i, 10 + i));
      await log.flush();
    }
    const writes = place.storage.logWrites;
    assertEquals(writes.length, 12);
    let end = 0;
    for (const [i, { position, bytes }] of writes.entries()) {
      assertEquals([position, bytes.length], [0, 4096]);
      if (i > 0) {
        const before = writes[i - 1]!.bytes.subarray(0, end);
        assertEquals(bytes.subarray(0, end), before);
      }
      end += HEADER + 10 + i;
      assert(bytes.subarray(end).every((byte) => byte === 0));
    }
    await log.close();
  });
});

Deno.test("write-blocks: the last block is written again identically after reopening", async () => {
  await at(new WatchedPlace(), async (place) => {
    for (let i = 0; i < 10; i++) {
      const log = await openLog(place);
      log.append(payload(i, 700));
      if (i % 2 === 0) log.closeSync();
      else await log.close();
    }
    checkWrites(place, 4096);
    assertEquals(batchesOf(place.bytes(`${segment(0)}.log`)).length, 10);
  });
});

Deno.test("write-blocks: a write block need not be a multiple of the physical block", async () => {
  for (const physicalBlock of [8 * KIB, 16 * KIB]) {
    await at(new WatchedPlace({ physicalBlock }), async (place) => {
      const log = await openLog(place, { blockBytes: 36 * KIB });
      for (let i = 0; i < 100; i++) {
        log.append(payload(i, 900));
        if (i % 37 === 36) await log.flush();
      }
      await log.close();
      checkWrites(place, physicalBlock);
    });
  }
});

for (const mode of ["async", "sync"]) {
  Deno.test(`write-blocks: writes of data and of prepared zeros never overlap in flight, and no zeros cover data, ${mode}`, async () => {
    for (let seed = 0; seed < 6; seed++) {
      await at(new WatchedPlace({ seed }), async (place) => {
        if (mode === "async") {
          place.storage.delayWrite = (write) =>
            write.zeros ? turns(4) : undefined;
        }
        const log = await openLog(place, { prepareBytes: 1500 * KIB });
        // Small flushes, so that preparation begins, and sometimes one that goes beyond the
        // prepared space.
        for (let i = 0; i < 60; i++) {
          log.append(payload(i, i % 20 < 14 ? (i * 79_199) % 5000 : 90_000));
          if (mode === "sync") log.flushSync();
          // Only after an async flush does preparation begin.
          if (mode === "async" || i % 2 === 0) await log.flush();
          await turns((seed + i) % 6);
        }
        await log.close();
        assert(place.storage.logWrites.some(({ zeros }) => zeros));
        checkWrites(place, 4096);
      });
    }
  });
}
