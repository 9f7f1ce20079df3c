/**
 * Unpaired, temporary and foreign files, and segments that do not follow each other:
 * docs/format.md#open-unpaired, docs/format.md#open-temporary, docs/format.md#open-other-files,
 * docs/format.md#open-gap.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { CorruptSegment } from "../../lib/segment/mod.ts";
import {
  appendSome,
  drainSync,
  openLogSync,
  payload,
  segment,
  type SimulatedPlace,
} from "./support.ts";
import {
  assertMade,
  type Files,
  filesOf,
  make,
  MARK,
  on,
  reopened,
  withLog,
} from "./recovery_support.ts";

const LENGTHS = [100, 0, 5000];
const SEGMENTS = [0, 3, 6].map((first) => make(first, LENGTHS));
const ALL = [...LENGTHS, ...LENGTHS, ...LENGTHS];

type Part = "whole" | "empty" | "missing";
const PARTS: readonly Part[] = ["whole", "empty", "missing"];

/** What a log must hold: messages from one offset up to another; or what is wrong with it. */
type Outcome = { from: number; to: number } | CorruptSegment["kind"];

/** What the format says of a segment with these files, of three. */
function expected(which: 0 | 1 | 2, log: Part, index: Part): Outcome {
  if (log === "whole") return { from: 0, to: 9 };
  const gone = log === "missing" && index === "missing";
  if (which === 0) {
    // Truncated, or it was being.
    if (log === "missing") return { from: 3, to: 9 };
    return "gap";
  }
  if (which === 1) return log === "empty" || gone ? "gap" : "missing";
  // The last one: just made, or its index describes what its log does not have.
  if (log === "missing" && index === "whole") return "missing";
  return { from: 0, to: 6 };
}

for (const which of [0, 1, 2] as const) {
  for (const log of PARTS) {
    for (const index of PARTS) {
      for (const mark of [{}, MARK]) {
        const outcome = expected(which, log, index);
        const name = ["first", "middle", "last"][which];
        const marked = mark === MARK ? ", marked" : "";
        Deno.test(
          `Opening, rule 4: ${name} segment, .log ${log}, .index ${index}${marked}: ${
            typeof outcome === "string"
              ? `CorruptSegment (${outcome})`
              : `offsets ${outcome.from} to ${outcome.to}`
          }`,
          () => {
            const files: Files = { ...filesOf(...SEGMENTS), ...mark };
            for (
              const [kind, part] of [["log", log], ["index", index]] as const
            ) {
              const path = `${segment(3 * which)}.${kind}`;
              if (part === "missing") delete files[path];
              else if (part === "empty") files[path] = new Uint8Array(0);
            }
            return on(files, (place) => check(place, outcome));
          },
        );
      }
    }
  }
}

function check(place: SimulatedPlace, outcome: Outcome): void {
  if (typeof outcome === "string") {
    const before = place.storage.hash();
    const error = assertThrows(() => openLogSync(place), CorruptSegment);
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
  // Every file has its partner, and nothing else is there.
  const names = place.names();
  const logs = names.filter((name) => name.endsWith(".log"));
  assertEquals(
    names,
    logs.flatMap((name) => [name.replace(".log", ".index"), name]),
  );
}

Deno.test("Opening, rule 4: a directory with one lone empty file of any first offset is an empty log", async () => {
  for (const first of [0, 7]) {
    for (const kind of ["log", "index"]) {
      const files = { [`${segment(first)}.${kind}`]: new Uint8Array(0) };
      await on(files, (place) => {
        withLog(place, (log) => {
          assertEquals([log.firstOffset, log.nextOffset], [first, first]);
          assertEquals(log.append("a"), first);
        });
        assertEquals(place.names().length, 2);
      });
    }
  }
});

Deno.test("Opening, rule 4: a lone .index with entries is CorruptSegment that names it", () =>
  on({ [`${segment(3)}.index`]: SEGMENTS[1]!.index }, (place) => {
    const before = place.storage.hash();
    const error = assertThrows(() => openLogSync(place), CorruptSegment);
    assertEquals(error.kind, "missing");
    assertEquals(error.offset, 3);
    assert(error.path.endsWith(`${segment(3)}.index`));
    assertEquals(place.storage.hash(), before);
  }));

Deno.test("Opening, rule 4: temporary files are removed, durably", () => {
  const temporary = [0, 6, 9].flatMap((first) =>
    ["log", "index", "cut"].map((kind) => `${segment(first)}.${kind}.tmp`)
  );
  const files = filesOf(...SEGMENTS);
  for (const name of temporary) files[name] = payload(1, 5000);
  return on(files, (place) => {
    withLog(place, (log) => {
      assertEquals(log.stats().opening.foreign, []);
      const left = place.storage.crashState("none").files();
      assertEquals(left.filter((path) => path.endsWith(".tmp")), []);
      assertMade(drainSync(log), 0, ALL);
    });
    assertEquals(place.names(), Object.keys(filesOf(...SEGMENTS)).sort());
  });
});

Deno.test("Opening, rule 4: other files and directories are left alone and named", () => {
  const foreign: Files = {
    "0.log": payload(1, 10),
    [`${segment(9)}.log.bak`]: payload(2, 10),
    [`${segment(9)}.lock`]: payload(3, 10),
    [`${segment(0)}.cut`]: payload(4, 10),
    [`${segment(0)}0.log`]: payload(5, 10),
    "99999999999999999999.log": payload(6, 10),
    "README": payload(7, 10),
    "x.tmp": payload(8, 10),
    "notes.log": payload(9, 10),
  };
  const files = {
    ...filesOf(...SEGMENTS),
    ...foreign,
    "offsets/consumers/1": payload(10, 8),
    [`${segment(20)}.log/file`]: payload(11, 8),
  };
  return on(files, (place) => {
    withLog(place, (log) => {
      assertEquals(
        log.stats().opening.foreign.toSorted(),
        [...Object.keys(foreign), "offsets", `${segment(20)}.log`].sort(),
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

Deno.test("Opening, rule 4: gaps and overlaps between segments are CorruptSegment at the seam, nothing is changed", async () => {
  for (const [first, other] of [[0, 1], [0, 2], [0, 4], [3, 5], [3, 7]]) {
    // The segment behind `first` has another number in its name, or begins with another offset.
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
        const error = assertThrows(() => openLogSync(place), CorruptSegment);
        assertEquals(error.kind, "gap");
        assertEquals(error.path, `/log/${segment(first!)}.log`);
        assertEquals(error.offset, first! + 3);
        assertEquals(place.storage.hash(), before);
      });
    }
  }
});

Deno.test("Opening, rule 2: messages with other offsets than the name says are kept, then cut", () => {
  const files = filesOf(SEGMENTS[0]!);
  files[`${segment(3)}.log`] = SEGMENTS[2]!.log;
  files[`${segment(3)}.index`] = SEGMENTS[2]!.index;
  return on({ ...files, ...MARK }, (place) => {
    const left = reopened(place);
    assertMade(left, 0, LENGTHS);
    // They are valid, so they are kept.
    assertEquals(place.bytes(`${segment(3)}.cut`), SEGMENTS[2]!.log);
  });
});
