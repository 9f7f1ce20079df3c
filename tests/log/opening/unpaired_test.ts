/**
 * Unpaired, temporary, odd and foreign files, and segments that do not follow each other:
 * docs/format.md#open-unpaired, docs/format.md#open-temporary, docs/format.md#open-other-files,
 * docs/format.md#open-gap, docs/format.md#open-odd-names, docs/format.md#write-remove-any-order.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  inspectLogSync,
  LogReader,
  planRepairSync,
  verifyLogSync,
} from "../../../lib/log/mod.ts";
import { CorruptSegmentError } from "../../../lib/segment/mod.ts";
import {
  appendSome,
  drainSync,
  faultsOfClosed,
  openLogSync,
  payload,
  segment,
  type SimulatedPlace,
} from "../_support.ts";
import {
  assertMade,
  type Files,
  filesOf,
  LEFT_OPEN,
  make,
  metaFile,
  on,
  reopened,
  withLog,
} from "../recovery/_support.ts";

const LENGTHS = [100, 0, 5000];
const SEGMENTS = [0, 3, 6].map((first) => make(first, LENGTHS));
const ALL = [...LENGTHS, ...LENGTHS, ...LENGTHS];

type Part = "whole" | "empty" | "missing";
const PARTS: readonly Part[] = ["whole", "empty", "missing"];

/** What a log must hold: messages from one offset up to another, or what is wrong with it. */
type Outcome = { from: number; to: number } | CorruptSegmentError["kind"];

/**
 * Returns what the format says about three segments, one of which has these files. The first offset
 * is 0, or 3 where `isTruncated`.
 */
function expected(
  which: 0 | 1 | 2,
  log: Part,
  index: Part,
  isTruncated: boolean,
  isLeftOpen: boolean,
): Outcome {
  if (which === 0 && isTruncated) return { from: 3, to: 9 };
  const from = isTruncated ? 3 : 0;
  if (log === "whole") return { from, to: 9 };
  const isGone = log === "missing" && index === "missing";
  if (which === 2) {
    // The segment was just created, or its index describes bytes that its log does not have.
    const isBegun = index === "empty" && isLeftOpen;
    if (log === "missing" && index !== "missing" && !isBegun) return "missing";
    return index === "whole" ? "index" : { from, to: 6 };
  }
  // The segment is the log's first one, or a middle one.
  if (isGone || log === "empty" && index !== "whole") return "gap";
  return log === "empty" ? "index" : "missing";
}

for (const which of [0, 1, 2] as const) {
  for (const log of PARTS) {
    for (const index of PARTS) {
      for (const isLeftOpen of [false, true]) {
        for (const isTruncated of [false, true]) {
          const outcome = expected(which, log, index, isTruncated, isLeftOpen);
          const name = [
            `${["first", "middle", "last"][which]} segment`,
            `.log ${log}`,
            `.index ${index}`,
            ...isLeftOpen ? ["left open"] : [],
            ...isTruncated ? ["first offset 3"] : [],
          ].join(", ");
          const told = typeof outcome === "string"
            ? `CorruptSegmentError (${outcome})`
            : `offsets ${outcome.from} to ${outcome.to}`;
          Deno.test(`Log.open() of a ${name}: ${told}`, () => {
            const files: Files = {
              ...filesOf(...SEGMENTS),
              ...isLeftOpen ? LEFT_OPEN : {},
              meta: metaFile(isTruncated ? 3 : 0),
            };
            for (
              const [kind, part] of [["log", log], ["index", index]] as const
            ) {
              const path = `${segment(3 * which)}.${kind}`;
              if (part === "missing") delete files[path];
              else if (part === "empty") files[path] = new Uint8Array(0);
            }
            return on(files, (place) => check(place, outcome));
          });
        }
      }
    }
  }
}

function check(place: SimulatedPlace, outcome: Outcome): void {
  if (typeof outcome === "string") {
    const before = place.storage.hash();
    const error = assertThrows(() => openLogSync(place), CorruptSegmentError);
    assertEquals(error.kind, outcome);
    assertEquals(place.storage.hash(), before);
    return;
  }
  const { from, to } = outcome;
  withLog(place, (log) => {
    assertEquals([log.firstOffset, log.nextOffset], [from, to]);
    assertMade(drainSync(log), from, ALL.slice(from, to));
    appendSome(log, 2, 10);
  });
  assertMade(reopened(place), from, [...ALL.slice(from, to), 10, 10]);
  // Every file has its partner, and there is no other file.
  assertEquals(faultsOfClosed(place), []);
}

Deno.test("Log.open() opens a directory with one empty file of any first offset as an empty log", async () => {
  for (const first of [0, 7]) {
    for (const kind of ["log", "index"]) {
      const files = { [`${segment(first)}.${kind}`]: new Uint8Array(0) };
      await on(files, (place) => {
        withLog(place, (log) => {
          assertEquals([log.firstOffset, log.nextOffset], [first, first]);
          assertEquals(log.append("a"), first);
        });
        assertEquals(faultsOfClosed(place), []);
      });
    }
  }
});

Deno.test("Log.open() refuses an .index with entries but no .log, with CorruptSegmentError that names it", () =>
  on({ [`${segment(3)}.index`]: SEGMENTS[1]!.index }, (place) => {
    const before = place.storage.hash();
    const error = assertThrows(() => openLogSync(place), CorruptSegmentError);
    assertEquals(error.kind, "missing");
    assertEquals(error.offset, 3);
    assert(error.path.endsWith(`${segment(3)}.index`));
    assertEquals(place.storage.hash(), before);
  }));

Deno.test("Log.open() removes temporary files, durably", () => {
  const temporary = [0, 6, 9].flatMap((first) =>
    ["log", "index", "379.0.cut"].map((kind) => `${segment(first)}.${kind}.tmp`)
  ).concat("meta.tmp", "writer.tmp");
  const files = filesOf(...SEGMENTS);
  for (const name of temporary) files[name] = payload(1, 5000);
  return on(files, (place) => {
    withLog(place, (log) => {
      const { foreign, removed } = log.stats().opening;
      assertEquals(foreign, []);
      assertEquals(removed.toSorted(), temporary.toSorted());
      const left = place.storage.crashState("none").files();
      assertEquals(left.filter((path) => path.endsWith(".tmp")), []);
      assertMade(drainSync(log), 0, ALL);
    });
    assertEquals(place.names(), Object.keys(filesOf(...SEGMENTS)).sort());
  });
});

Deno.test("Log.open() removes every subset of files below the first offset, durably", async () => {
  const files = { ...filesOf(...SEGMENTS), meta: metaFile(6) };
  const below = Object.keys(filesOf(SEGMENTS[0]!, SEGMENTS[1]!))
    .filter((name) => name !== "meta");
  for (let subset = 0; subset < 1 << below.length; subset++) {
    const gone = below.filter((_, i) => subset >> i & 1);
    const left = Object.fromEntries(
      Object.entries(files).filter(([name]) => !gone.includes(name)),
    );
    await on(left, (place) => {
      withLog(place, (log) => {
        assertEquals([log.firstOffset, log.nextOffset], [6, 9], gone.join());
        assertMade(drainSync(log), 6, LENGTHS);
        const durable = place.storage.crashState("none").files();
        for (const name of below) assert(!durable.includes(`/log/${name}`));
      });
      assertEquals(faultsOfClosed(place), []);
    });
  }
});

Deno.test("Log.open() leaves other files and directories alone, and reports them", () => {
  const foreign: Files = {
    "0.log": payload(1, 10),
    [`${segment(9)}.log.bak`]: payload(2, 10),
    [`${segment(9)}.lock`]: payload(3, 10),
    [`${segment(0)}0.log`]: payload(5, 10),
    "99999999999999999999.log": payload(6, 10),
    "README": payload(7, 10),
    "x.tmp": payload(8, 10),
    "notes.log": payload(9, 10),
  };
  const files = {
    ...filesOf(...SEGMENTS),
    ...foreign,
    // It is not a foreign file, but it is left alone as well.
    [`${segment(0)}.379.0.cut`]: payload(4, 10),
    "offsets/consumers/1": payload(10, 8),
  };
  return on(files, (place) => {
    withLog(place, (log) => {
      assertEquals(
        log.stats().opening.foreign.toSorted(),
        [...Object.keys(foreign), "offsets"].sort(),
      );
      assertMade(drainSync(log), 0, ALL);
      appendSome(log, 1, 10);
    });
    for (const [name, bytes] of Object.entries(files)) {
      if (name in filesOf(...SEGMENTS)) continue;
      assertEquals(place.bytes(name), bytes, name);
    }
  });
});

for (
  const name of [`${segment(20)}.log`, `${segment(0)}.index`, "meta", "writer"]
) {
  Deno.test(`Log.open() and readers refuse a directory with the name ${name}`, () => {
    const files = { ...filesOf(...SEGMENTS), [`${name}/file`]: payload(1, 8) };
    delete files[name];
    return on(files, (place) => {
      const { storage, pool, dir } = place;
      const before = storage.hash();
      const named = [Deno.errors.InvalidData, `'/log/${name}'`] as const;
      assertThrows(() => openLogSync(place), ...named);
      const options = { storage, pool };
      assertThrows(() => drainSync(new LogReader(dir, options)), ...named);
      assertThrows(() => planRepairSync(dir, options), ...named);
      const { opening, odd } = inspectLogSync(dir, options);
      assertEquals([odd, opening.possible], [[name], false]);
      const [fault] = verifyLogSync(dir, options);
      assertEquals([fault!.kind, fault!.path], ["name", `/log/${name}`]);
      assertEquals(storage.hash(), before);
    });
  });
}

Deno.test("Log.open() refuses gaps and overlaps between segments, and changes nothing", async () => {
  for (const [first, other] of [[0, 1], [0, 2], [0, 4], [3, 5], [3, 7]]) {
    // The segment after `first` has another number in its name, or begins with another offset.
    const renamed = filesOf(...SEGMENTS);
    for (const kind of ["log", "index"]) {
      const name = `${segment(first! + 3)}.${kind}`;
      renamed[`${segment(other!)}.${kind}`] = renamed[name]!;
      delete renamed[name];
    }
    const made = first === 0
      ? [SEGMENTS[0]!, make(other!, LENGTHS), make(other! + 3, LENGTHS)]
      : [SEGMENTS[0]!, SEGMENTS[1]!, make(other!, LENGTHS)];
    for (const files of [renamed, filesOf(...made)]) {
      await on(files, (place) => {
        const before = place.storage.hash();
        const error = assertThrows(
          () => openLogSync(place),
          CorruptSegmentError,
        );
        assertEquals(error.kind, "gap");
        assertEquals(error.path, `/log/${segment(first!)}.log`);
        assertEquals(error.offset, first! + 3);
        assertEquals(place.storage.hash(), before);
      });
    }
  }
});

Deno.test("Log.open() refuses a log whose first segments are gone, and one without segments", async () => {
  const { meta } = filesOf(SEGMENTS[0]!);
  for (
    const [files, kind] of [
      [{ ...filesOf(SEGMENTS[1]!, SEGMENTS[2]!), meta: meta! }, "gap"],
      [{ meta: meta! }, "missing"],
      [LEFT_OPEN, "missing"],
      [{ writer: LEFT_OPEN["writer"]! }, "missing"],
      // The segment that holds the first offset is missing.
      [{ ...filesOf(SEGMENTS[0]!), meta: metaFile(9) }, "gap"],
    ] as const
  ) {
    await on(files, (place) => {
      const before = place.storage.hash();
      const error = assertThrows(() => openLogSync(place), CorruptSegmentError);
      assertEquals(error.kind, kind);
      assertEquals(place.storage.hash(), before);
    });
  }
});

Deno.test("Log.open() keeps batches whose offsets do not follow from the name, then cuts them", () => {
  const files = filesOf(SEGMENTS[0]!);
  files[`${segment(3)}.log`] = SEGMENTS[2]!.log;
  files[`${segment(3)}.index`] = new Uint8Array(0);
  return on({ ...files, ...LEFT_OPEN }, (place) => {
    assertMade(reopened(place), 0, LENGTHS);
    assertEquals(place.bytes(`${segment(3)}.0.0.cut`), SEGMENTS[2]!.log);
  });
});
