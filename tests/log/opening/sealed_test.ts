/**
 * Segments that open without a scan, and closed logs that are incomplete:
 * docs/format.md#open-sealed, docs/format.md#open-clean-close, docs/format.md#index-cache.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { LogReader, verifyLogSync } from "../../../lib/log/mod.ts";
import { CorruptSegmentError } from "../../../lib/segment/mod.ts";
import { drainSync, KIB, openLogSync, segment } from "../_support.ts";
import {
  assertMade,
  filesOf,
  flipped,
  joined,
  LEFT_OPEN,
  make,
  on,
  withLog,
} from "../recovery/_support.ts";

const LENGTHS = Array.from({ length: 300 }, (_, i) => i);
const SEGMENTS = [0, 300, 600, 900].map((first) => make(first, LENGTHS));
const ALL = [LENGTHS, LENGTHS, LENGTHS, LENGTHS].flat();
/** Segments of 1.3 MiB each. */
const LONG = [0, 300, 600, 900].map((first) =>
  make(first, LENGTHS.map(() => 4000))
);

for (const isLeftOpen of [false, true]) {
  Deno.test(`Log.open() reads the ends of sealed segments only, ${isLeftOpen ? "left open" : "closed"}`, () =>
    on({ ...filesOf(...LONG), ...(isLeftOpen ? LEFT_OPEN : {}) }, (place) => {
      const log = openLogSync(place);
      for (const first of [0, 300, 600]) {
        const name = segment(first);
        const [reads, index] = ["log", "index"].map((kind) =>
          place.storage.trace.filter((each) =>
            each.kind === "read" && each.path === `/log/${name}.${kind}`
          )
        );
        const bytes = reads!.reduce((sum, { length }) => sum + length!, 0);
        assert(bytes <= 256 * KIB, `${bytes} bytes of ${name}.log`);
        assert(index!.length <= 2, `${index!.length} reads of ${name}.index`);
      }
      assertEquals(log.nextOffset, 1200);
      log.closeSync();
    }));
}

Deno.test("Log.open() of a closed log recovers nothing", () =>
  on(filesOf(...SEGMENTS), (place) => {
    withLog(place, (log) => {
      assertEquals(log.stats().opening, {
        recovered: [],
        kept: [],
        removed: [],
        foreign: [],
      });
      assertEquals(log.nextOffset, 1200);
      assertMade(drainSync(log), 0, ALL);
    });
  }));

Deno.test("Log.open() scans the last segment of a log that was left open, however right its index looks", () =>
  on({ ...filesOf(SEGMENTS[0]!), ...LEFT_OPEN }, (place) => {
    withLog(place, (log) => {
      const [report] = log.stats().opening.recovered;
      const { length } = SEGMENTS[0]!.log;
      assertEquals(report, {
        path: `/log/${segment(0)}.log`,
        trustedPosition: 0,
        scannedBytes: length,
        end: length,
        cutBytes: 0,
        isKept: false,
        rebuiltEntries: 0,
      });
    });
  }));

Deno.test("Log.open() rewrites a wrong index of the last segment of a closed log", async () => {
  const { log, index } = SEGMENTS[0]!;
  const name = segment(0);
  const wrong = [
    index.subarray(0, -1),
    joined(index, index.subarray(0, 7)),
    joined(index, new Uint8Array(24)),
    new Uint8Array(0),
  ];
  for (const bytes of wrong) {
    const files = { ...filesOf(SEGMENTS[0]!), [`${name}.index`]: bytes };
    await on(files, (place) => {
      withLog(place, (log) => {
        assertEquals(log.stats().opening.recovered.length, 1);
        assertMade(drainSync(log), 0, LENGTHS);
      });
      assertEquals(place.bytes(`${name}.index`), index);
      assertEquals(place.bytes(`${name}.log`), log);
    });
  }
});

Deno.test("Log.open() refuses a closed log that does not end with its last batch, and changes nothing", async () => {
  const { log, index, starts } = SEGMENTS[0]!;
  const name = segment(0);
  const cases: [Uint8Array, Uint8Array | undefined, number][] = [
    [log.subarray(0, starts[299]! + 10), index, 299],
    [log.subarray(0, starts[299]! + 10), undefined, 299],
    [joined(log, new Uint8Array(1)), index, 300],
    [joined(log, new Uint8Array(4096)), index, 300],
    [joined(log, new Uint8Array(4096)), new Uint8Array(0), 300],
    [joined(log, new Uint8Array(300).fill(7)), index, 300],
    [flipped(log, log.length - 1), index, 299],
  ];
  for (const [bytes, index, k] of cases) {
    const files = { ...filesOf(SEGMENTS[0]!), [`${name}.log`]: bytes };
    if (index === undefined) delete files[`${name}.index`];
    else files[`${name}.index`] = index;
    await on(files, (place) => {
      const before = place.storage.hash();
      const error = assertThrows(() => openLogSync(place), CorruptSegmentError);
      assertEquals([error.position, error.offset], [starts[k], k]);
      assertEquals(place.storage.hash(), before);
    });
  }
});

Deno.test("Log.open() refuses a closed log that is shorter than its index says", async () => {
  const made = LONG[0]!;
  const name = segment(0);
  for (const messages of [0, 1, 100, 280]) {
    const log = made.log.subarray(0, made.starts[messages]);
    await on({ ...filesOf(made), [`${name}.log`]: log }, (place) => {
      const before = place.storage.hash();
      const error = assertThrows(() => openLogSync(place), CorruptSegmentError);
      assertEquals([error.kind, error.path], ["index", `/log/${name}.log`]);
      assertEquals(place.storage.hash(), before);
      const options = { storage: place.storage, pool: place.pool };
      assertThrows(
        () => drainSync(new LogReader(place.dir, options)),
        CorruptSegmentError,
      );
      const faults = [...verifyLogSync(place.dir, options)];
      assertEquals(faults.map(({ kind }) => kind), ["index"]);
    });
  }
});

Deno.test("Log.open() rewrites a lost or wrong index of a sealed segment", async () => {
  const { index } = SEGMENTS[1]!;
  const name = `${segment(300)}.index`;
  const wrong: (Uint8Array | undefined)[] = [
    undefined,
    new Uint8Array(0),
    index.subarray(0, -7),
    flipped(index, index.length - 16),
    flipped(index, index.length - 8),
    new Uint8Array(index.length),
  ];
  for (const bytes of wrong) {
    const files = filesOf(...SEGMENTS);
    if (bytes === undefined) delete files[name];
    else files[name] = bytes;
    await on(files, (place) => {
      withLog(place, (log) => {
        const { recovered } = log.stats().opening;
        assertEquals(
          recovered.map(({ path, rebuiltEntries }) => [path, rebuiltEntries]),
          [[`/log/${segment(300)}.log`, index.length / 24]],
        );
        assertMade(drainSync(log, { from: 250 }), 250, ALL.slice(250));
      });
      assertEquals(place.bytes(name), index);
      assertEquals(place.names(), Object.keys(filesOf(...SEGMENTS)).sort());
    });
  }
});

Deno.test("Log.open() opens a log that has no room for a lost index", async () => {
  const files = filesOf(...SEGMENTS);
  delete files[`${segment(300)}.index`];
  await on(files, (place) => {
    place.storage.onOperation(({ kind, path }) =>
      kind === "write" && path.endsWith(".index.tmp")
        ? { error: "ENOSPC" }
        : undefined
    );
    withLog(place, (log) => assertMade(drainSync(log), 0, ALL));
    assert(!place.names().some((name) => name.endsWith(".tmp")));
    const options = { storage: place.storage, pool: place.pool };
    assertEquals([...verifyLogSync(place.dir, options)], []);
    assertMade(drainSync(new LogReader(place.dir, options)), 0, ALL);
  });
});

Deno.test("Log.open() refuses a damaged sealed segment whose index is missing, and changes nothing", async () => {
  const { log, starts } = SEGMENTS[1]!;
  const files = filesOf(...SEGMENTS);
  delete files[`${segment(300)}.index`];
  // Another change that opening would make.
  delete files[`${segment(0)}.index`];
  files[`${segment(9)}.log.tmp`] = new Uint8Array(10);
  for (
    const [k, bad] of [[0, 0], [100, starts[100]! + 70], [
      299,
      log.length - 1,
    ]] as const
  ) {
    files[`${segment(300)}.log`] = flipped(log, bad);
    for (const writer of [undefined, LEFT_OPEN["writer"]!]) {
      await on({ ...files, ...writer && { writer } }, (place) => {
        const before = place.storage.hash();
        const error = assertThrows(
          () => openLogSync(place),
          CorruptSegmentError,
        );
        assertEquals(error.path, `/log/${segment(300)}.log`);
        assertEquals(error.position, starts[k]);
        assertEquals(error.offset, 300 + k);
        assertEquals(place.storage.hash(), before);
        // The lock is free again.
        assertThrows(() => openLogSync(place), CorruptSegmentError);
      });
    }
  }
});
