/**
 * The owner file of a writer, and segments that open without a scan:
 * docs/format.md#open-sealed, docs/format.md#owner-remove.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { CorruptSegment } from "../../lib/segment/mod.ts";
import type { SimulatedDisk } from "@basalt/io/testing";
import {
  appendSome,
  drainSync,
  KIB,
  lines,
  onEachPlace,
  openLog,
  openLogSync,
  segment,
} from "./support.ts";
import {
  assertMade,
  bytesRead,
  diskWith,
  filesOf,
  flipped,
  joined,
  make,
  MARK,
  on,
  reopened,
  withLog,
} from "./recovery_support.ts";

const LENGTHS = Array.from({ length: 300 }, (_, i) => i);
const SEGMENTS = [0, 300, 600, 900].map((first) => make(first, LENGTHS));

/** How often each kind of operation concerned the files of a segment. */
function counts(disk: SimulatedDisk, firstOffset: number): string[] {
  const prefix = `/log/${segment(firstOffset)}`;
  const kinds = disk.trace.filter(({ path }) => path.startsWith(prefix))
    .map(({ kind, path }) => `${kind} ${path.slice(prefix.length + 1)}`);
  return [...new Set(kinds)].map((each) =>
    `${kinds.filter((kind) => kind === each).length} ${each}`
  ).sort();
}

for (const marked of [false, true]) {
  Deno.test(`Opening: a sealed segment takes two sizes and one read of an index entry (${marked ? "with" : "without"} a mark)`, () =>
    on(
      diskWith({ ...filesOf(...SEGMENTS), ...(marked ? MARK : {}) }),
      (place) => {
        const log = openLogSync(place);
        for (const first of [0, 300, 600]) {
          assertEquals(counts(place.storage, first), [
            "1 open index",
            "1 open log",
            "1 read index",
            "1 size index",
            "1 size log",
          ]);
        }
        const reads = place.storage.trace.filter(({ kind, path }) =>
          kind === "read" && path.endsWith(`${segment(0)}.index`)
        );
        // The last entry, and no more around it than one page.
        const { position, length } = reads[0]!;
        const entry = 299 * 16;
        assert(position! <= entry && position! + length! >= entry + 16);
        assert(length! <= 4 * KIB);
        assertMade(
          drainSync(log),
          0,
          [LENGTHS, LENGTHS, LENGTHS, LENGTHS].flat(),
        );
        log.closeSync();
      },
    ));
}

Deno.test("Opening: a last segment without a mark, as long as its index says, is sealed: nothing is walked", () =>
  on(filesOf(SEGMENTS[0]!), (place) => {
    withLog(place, (log) => {
      // What the writer goes on from: the partly filled last block of both files, each read twice, and the last entry.
      assert(bytesRead(place.storage, ".log") <= 2 * 4 * KIB);
      assertEquals(log.stats().opening, {
        recovered: [],
        kept: [],
        foreign: [],
      });
      assertEquals(log.nextOffset, 300);
      assertMade(drainSync(log), 0, LENGTHS);
    });
  }));

Deno.test("Opening: a last segment with a mark is walked, however right its index looks", () =>
  on({ ...filesOf(SEGMENTS[0]!), ...MARK }, (place) => {
    withLog(place, (log) => {
      const [report] = log.stats().opening.recovered;
      const { length } = SEGMENTS[0]!.log;
      assertEquals(report, {
        path: `/log/${segment(0)}.log`,
        trustedEntries: 0,
        walkedBytes: length,
        end: length,
        cutBytes: 0,
        kept: false,
        rebuiltEntries: 300,
      });
    });
  }));

Deno.test("Opening: a last segment without a mark is walked if its size is not what its index says", async () => {
  const { log, index, starts } = SEGMENTS[0]!;
  const name = segment(0);
  for (
    const files of [
      { [`${name}.log`]: log, [`${name}.index`]: index.subarray(16) },
      { [`${name}.log`]: log, [`${name}.index`]: index.subarray(0, -16) },
      { [`${name}.log`]: log, [`${name}.index`]: index.subarray(0, -1) },
      {
        [`${name}.log`]: log,
        [`${name}.index`]: joined(index, index.subarray(0, 7)),
      },
      { [`${name}.log`]: log, [`${name}.index`]: new Uint8Array(0) },
    ]
  ) {
    await on(files, (place) => {
      withLog(place, (log) => {
        assertEquals(log.stats().opening.recovered.length, 1);
        assertMade(drainSync(log), 0, LENGTHS);
      });
      assertEquals(place.bytes(`${name}.index`), index);
    });
  }
  const shorter = log.subarray(0, starts[299]! + 10);
  await on(
    { [`${name}.log`]: shorter, [`${name}.index`]: index },
    (place) => assertMade(reopened(place), 0, LENGTHS.slice(0, 299)),
  );
});

Deno.test("Opening: a sealed segment's index that is missing, short or wrong is written anew if the log is whole", async () => {
  const { index } = SEGMENTS[1]!;
  const name = `${segment(300)}.index`;
  const wrong: (Uint8Array | undefined)[] = [
    undefined,
    new Uint8Array(0),
    index.subarray(0, -16),
    index.subarray(0, -7),
    index.subarray(16),
    flipped(index, index.length - 16),
    flipped(index, index.length - 12),
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
          [[`/log/${segment(300)}.log`, 300]],
        );
        assertMade(
          drainSync(log, { from: 250 }),
          250,
          [LENGTHS, LENGTHS, LENGTHS, LENGTHS].flat().slice(250),
        );
      });
      assertEquals(place.bytes(name), index);
      assertEquals(place.names(), Object.keys(filesOf(...SEGMENTS)).sort());
    });
  }
});

Deno.test("Opening: a damaged sealed segment whose index is missing is CorruptSegment, nothing is changed", async () => {
  const { log, starts } = SEGMENTS[1]!;
  const files = filesOf(...SEGMENTS);
  delete files[`${segment(300)}.index`];
  for (
    const [k, bad] of [[0, 0], [100, starts[100]! + 70], [
      299,
      log.length - 1,
    ]] as const
  ) {
    files[`${segment(300)}.log`] = flipped(log, bad);
    await on(files, (place) => {
      const before = place.storage.hash();
      const error = assertThrows(() => openLogSync(place), CorruptSegment);
      assertEquals(error.path, `/log/${segment(300)}.log`);
      assertEquals(error.position, starts[k]);
      assertEquals(error.offset, 300 + k);
      assertEquals(place.storage.hash(), before);
      // And the lock is free again.
      assertThrows(() => openLogSync(place), CorruptSegment);
    });
  }
});

onEachPlace(
  "Opening: while a log is open its mark tells process and time, after closing it is gone",
  async (place) => {
    const before = place.storage.now();
    const log = await openLog(place);
    const text = new TextDecoder().decode(place.bytes("writer"));
    const [, pid, time] = /^(\d+) (\d+)\n$/.exec(text)!;
    assertEquals(Number(pid), Deno.pid);
    assert(Number(time) >= before && Number(time) <= place.storage.now());
    appendSome(log, 3, 10);
    await log.close();
    assertEquals(place.names(), [`${segment(0)}.index`, `${segment(0)}.log`]);
  },
);

Deno.test("Opening: the mark is durable before the first append, and durably gone after closing", () =>
  on({}, (place) => {
    const disk = place.storage;
    const log = openLogSync(place);
    const opened = lines(disk);
    assertEquals(opened.slice(-5), [
      "open /log/writer",
      "write /log/writer 0+4096 none",
      `truncate /log/writer ${place.bytes("writer").length}`,
      "sync /log/writer full",
      "syncDirectory /log",
    ]);
    const left = disk.crashState("none");
    assertEquals(left.peek("/log/writer"), place.bytes("writer"));
    appendSome(log, 3, 10);
    log.closeSync();
    assertEquals(lines(disk).slice(-2), [
      "remove /log/writer",
      "syncDirectory /log",
    ]);
    // It goes last: whoever finds none finds a whole log.
    assertEquals(disk.unsyncedUnits(), []);
  }));

Deno.test("Opening: the mark of a dead writer is replaced by one's own", () =>
  on(
    { ...filesOf(SEGMENTS[0]!), writer: new Uint8Array(500).fill(57) },
    (place) => {
      const log = openLogSync(place);
      const text = new TextDecoder().decode(place.bytes("writer"));
      assert(text.startsWith(`${Deno.pid} `) && text.length < 40, text);
      log.closeSync();
    },
  ));
