/**
 * Damaged directories of logs, as a reader sees them: it gives all good messages, then an error
 * that names the cause. Nothing is changed.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import type { SimulatedDisk } from "@basalt/io/testing";
import { LogReader } from "../../lib/log/mod.ts";
import { CorruptSegmentError, type FaultKind } from "../../lib/segment/mod.ts";
import {
  appendSome,
  at,
  KIB,
  openLogSync,
  segment,
  SimulatedPlace,
} from "../log/_support.ts";

const COUNT = 100;
const DIR = "/log";
const path = (first: number, kind: string): string =>
  `${DIR}/${segment(first)}.${kind}`;

/**
 * A case: how the directory is damaged, how many messages are read before the error, and the error.
 */
interface Case {
  spoil(disk: SimulatedDisk, firsts: number[]): void;
  /** Number of the segment where the reading stops. All messages before it are good. */
  until?: number;
  error?: {
    kind: FaultKind;
    file(firsts: number[]): string;
    says(firsts: number[]): string;
  };
}

function renamed(disk: SimulatedDisk, from: number, to: number): void {
  for (const kind of ["log", "index"]) {
    disk.renameSync(path(from, kind), path(to, kind));
  }
}

function replaced(disk: SimulatedDisk, name: string, text: string): void {
  disk.removeSync(name);
  disk.poke(name, 0, new TextEncoder().encode(text));
}

/** The index is a cache, so everything is read without one. */
function withoutIndex(first: number): Case {
  return {
    spoil: (disk, firsts) => disk.removeSync(path(firsts.at(first)!, "index")),
  };
}

function withoutLog(first: number): Case {
  const number = (firsts: number[]): number => firsts.at(first)!;
  return {
    spoil: (disk, firsts) => disk.removeSync(path(number(firsts), "log")),
    until: first,
    error: {
      kind: "missing",
      file: (firsts) => path(number(firsts), "index"),
      says: () => "its '.log' is missing",
    },
  };
}

const GAP = {
  kind: "gap" as const,
  file: () => path(0, "log"),
};

const CASES: Record<string, Case> = {
  "a log without the index of its first segment": withoutIndex(0),
  "a log without an index in the middle": withoutIndex(1),
  "a log without the index of its last segment": withoutIndex(-1),
  "an index without a log in the middle": withoutLog(1),
  "an index without a log at the end": withoutLog(-1),
  "a segment that is missing": {
    spoil: (disk, firsts) => {
      for (const kind of ["log", "index"]) {
        disk.removeSync(path(firsts[1]!, kind));
      }
    },
    until: 1,
    error: { ...GAP, says: (firsts) => `begins at offset ${firsts[2]}` },
  },
  "a gap": {
    spoil: (disk, firsts) => renamed(disk, firsts[1]!, firsts[1]! + 1),
    until: 1,
    error: { ...GAP, says: (firsts) => `begins at offset ${firsts[1]! + 1}` },
  },
  "segments that overlap": {
    spoil: (disk, firsts) => renamed(disk, firsts[1]!, firsts[1]! - 1),
    until: 1,
    error: { ...GAP, says: (firsts) => `begins at offset ${firsts[1]! - 1}` },
  },
  "a last segment of 3 bytes": {
    spoil: (disk, firsts) => replaced(disk, path(firsts.at(-1)!, "log"), "abc"),
    until: -1,
    error: {
      kind: "torn",
      file: (firsts) => path(firsts.at(-1)!, "log"),
      says: () => "at byte 0",
    },
  },
  "a segment of 3 bytes in the middle": {
    spoil: (disk, firsts) => replaced(disk, path(firsts[1]!, "log"), "abc"),
    until: 1,
    error: {
      kind: "torn",
      file: (firsts) => path(firsts[1]!, "log"),
      says: () => "at byte 0",
    },
  },
  "a segment of text": {
    spoil: (disk, firsts) =>
      replaced(disk, path(firsts[1]!, "log"), "no segment at all. ".repeat(20)),
    until: 1,
    error: {
      kind: "reserved",
      file: (firsts) => path(firsts[1]!, "log"),
      says: () => "at byte 0",
    },
  },
  "an index of 3 bytes": {
    spoil: (disk, firsts) => replaced(disk, path(firsts[1]!, "index"), "abc"),
  },
  "an empty pair at the end, and foreign files": {
    spoil: (disk) => {
      for (const kind of ["log", "index"]) {
        disk.poke(path(COUNT, kind), 0, new Uint8Array(0));
      }
      for (
        const name of [
          "hello.log",
          "99999999999999999999.log",
          "1.log",
          "notes.txt",
        ]
      ) {
        disk.poke(`${DIR}/${name}`, 0, new Uint8Array(3));
      }
    },
  },
  "a segment that is just being created": {
    spoil: (disk) => disk.poke(path(COUNT, "log"), 0, new Uint8Array(0)),
  },
  "the rest of a segment after a truncation": {
    spoil: (disk) =>
      disk.poke(path(0, "index") + ".tmp", 0, new Uint8Array(16)),
  },
};

for (const [name, { spoil, until, error }] of Object.entries(CASES)) {
  for (const mode of ["read", "readSync"] as const) {
    Deno.test(`LogReader.${mode}() of ${name} gives every message before it${error === undefined ? "" : ", then an error that names it"}`, () =>
      at(new SimulatedPlace(), async (place) => {
        const { storage, pool, dir } = place;
        {
          using log = openLogSync(place, { segmentBytes: 4 * KIB });
          appendSome(log, COUNT, 100);
        }
        const firsts = storage.files().filter((each) => each.endsWith(".log"))
          .map((each) => Number(each.slice(DIR.length + 1, -4)));
        spoil(storage, firsts);
        const before = storage.hash();
        const reader = new LogReader(dir, { storage, pool });
        let count = 0;
        let thrown: unknown;
        try {
          if (mode === "read") {
            for await (using batch of reader.read()) count += batch.count;
          } else for (using batch of reader.readSync()) count += batch.count;
        } catch (error) {
          thrown = error;
        }
        assertEquals(count, until === undefined ? COUNT : firsts.at(until));
        if (error === undefined) assertEquals(thrown, undefined);
        else {
          if (!(thrown instanceof CorruptSegmentError)) throw thrown;
          assertEquals(
            [thrown.kind, thrown.path],
            [error.kind, error.file(firsts)],
          );
          assertStringIncludes(thrown.message, error.file(firsts));
          assertStringIncludes(thrown.message, error.says(firsts));
        }
        assertEquals(storage.hash(), before);
      }));
  }
}

for (const name of ["an empty directory", "a directory with foreign files"]) {
  Deno.test(`LogReader.read() of ${name} is NotFound, and describes what a log looks like`, () =>
    at(new SimulatedPlace(), ({ storage, pool, dir }) => {
      storage.makeDirectorySync(dir);
      if (name !== "an empty directory") {
        storage.poke(`${dir}/hello.log`, 0, new Uint8Array(3));
      }
      let thrown: unknown;
      try {
        [...new LogReader(dir, { storage, pool }).readSync()];
      } catch (error) {
        thrown = error;
      }
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
      assertStringIncludes(thrown.message, `'${dir}'`);
      assertStringIncludes(thrown.message, "00000000000000000000.log");
    }));
}
