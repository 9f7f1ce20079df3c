/** Reports of the comparisons: medians, verdicts, the table, JSON and Markdown. */
import { assertEquals, assertThrows } from "@std/assert";
import type { Machine } from "../../bench/compare/machine.ts";
import {
  Latencies,
  type Measured,
  P50,
  P99,
  THROUGHPUT,
} from "../../bench/compare/measure.ts";
import { compareOptions } from "../../bench/compare/options.ts";
import { jsonReport } from "../../bench/compare/report/json.ts";
import { writeMarkdown } from "../../bench/compare/report/markdown.ts";
import { printedTable } from "../../bench/compare/report/table.ts";
import {
  atLeast,
  atMost,
  compareSides,
  holdsAnywhere,
  isMet,
  median,
  ownFigure,
} from "../../bench/compare/row.ts";
import { FILES } from "../permissions.ts";

const MACHINE: Machine = {
  cpu: "a processor",
  cores: 2,
  memoryBytes: 2 ** 34,
  kernel: "6.1",
  hugePages: "madvise",
  disk: "vda",
  filesystem: "ext4",
  tier: "direct",
  engine: "threads",
  deno: "2",
  date: "2026-01-01",
  reference: true,
};

function moved(bytes: number, seconds: number): Measured {
  return { seconds, operations: 1, bytes };
}

/** Twice, three times and four times as much. */
const row = compareSides(
  { id: "P3.read", name: "reading", goal: atLeast(1.2) },
  THROUGHPUT,
  { name: "Basalt", runs: [moved(4e9, 2), moved(6e9, 2), moved(8e9, 2)] },
  { name: "fio", runs: [moved(1e9, 1), moved(1e9, 1), moved(1e9, 1)] },
);

Deno.test("compareSides() calculates the ratio of each pair from bytes per elapsed time", () => {
  assertEquals(row.values, [2, 3, 4]);
  assertEquals([row.ours, row.theirs], ["3.00 GB/s", "1.00 GB/s"]);
});

Deno.test("median() of an even number of values is between the middle two", () => {
  assertEquals(median([4, 1, 3, 2]), 2.5);
  assertEquals(median([10, 9, 1]), 9);
});

Deno.test("isMet() decides by the median, including at the limit", () => {
  const of = (goal: ReturnType<typeof atLeast>) => isMet({ ...row, goal });
  assertEquals(of(atLeast(3)), true);
  assertEquals(of(atLeast(3.01)), false);
  assertEquals(of(atMost(3)), true);
  assertEquals(of(atMost(23, 8)), false);
  assertEquals(atMost(1, 8).text, "≤ 1/8");
  assertEquals(isMet({ ...row, goal: undefined }), undefined);
});

Deno.test("Latencies.percentiles() are of all recorded values, in microseconds", () => {
  const latencies = new Latencies();
  for (let ms = 1; ms <= 100; ms++) latencies.record(ms);
  const run = { ...moved(1, 1), percentiles: latencies.percentiles() };
  const near = (value: number, wanted: number): boolean =>
    Math.abs(value / wanted - 1) < 0.002;
  assertEquals(near(P50.of(run), 50_000), true, String(P50.of(run)));
  assertEquals(near(P99.of(run), 99_000), true, String(P99.of(run)));
});

Deno.test("jsonReport() has the agreed fields, and no verdict where none is given", () => {
  const pages = ownFigure(
    { id: "P11.x", name: "pages", unit: "pages", reference: "cachestat" },
    [0],
  );
  const report = (verdict: boolean) =>
    JSON.parse(jsonReport(MACHINE, [row, pages], () => verdict));
  assertEquals(report(true), {
    machine: { ...MACHINE },
    rows: [
      {
        id: "P3.read",
        name: "reading",
        goal: "≥ 1.2",
        median: 3,
        min: 2,
        max: 4,
        unit: "ratio",
        met: true,
        reference: "fio",
      },
      {
        id: "P11.x",
        name: "pages",
        goal: null,
        median: 0,
        min: 0,
        max: 0,
        unit: "pages",
        met: null,
        reference: "cachestat",
      },
    ],
  });
  assertEquals(report(false).rows[0].met, null);
});

Deno.test("printedTable() has a verdict only where the goals apply", () => {
  const lines = printedTable([row], () => true).split("\n");
  assertEquals(lines[0]!.split(/\s{2,}/), [
    "id",
    "what",
    "goal",
    "median",
    "spread",
    "Basalt",
    "reference",
    "met",
  ]);
  assertEquals(lines[1]!.endsWith("yes"), true);
  assertEquals(printedTable([row], () => false).includes("met"), false);
  const other = { ...row, id: "W1.file" };
  const mixed = printedTable([row, other], holdsAnywhere).split("\n");
  assertEquals(mixed.map((line) => line.endsWith("yes")), [false, false, true]);
});

Deno.test({
  name: "writeMarkdown() replaces only the text between the markers",
  ignore: !FILES,
  fn() {
    const path = Deno.makeTempFileSync();
    try {
      Deno.writeTextFileSync(
        path,
        "before\n<!-- table: begin -->\nold\n<!-- table: end -->\nbehind\n",
      );
      writeMarkdown(path, MACHINE, [row], () => true, ["a note"]);
      const text = Deno.readTextFileSync(path);
      assertEquals(text.startsWith("before\n<!-- table: begin -->\n"), true);
      assertEquals(text.endsWith("<!-- table: end -->\nbehind\n"), true);
      assertEquals(text.includes("old"), false);
      assertEquals(text.includes("| P3.read | reading | ≥ 1.2 | 3 |"), true);
      assertEquals(text.includes("- a note"), true);
      // A second time, with the same result.
      writeMarkdown(path, MACHINE, [row], () => true, ["a note"]);
      assertEquals(Deno.readTextFileSync(path), text);
    } finally {
      Deno.removeSync(path);
    }
  },
});

Deno.test("compareOptions() names wrong arguments", () => {
  const parse = (...args: string[]) => compareOptions(args, ["P1", "P2"]);
  assertEquals(parse("--only", "P1,P2", "/d").only, ["P1", "P2"]);
  assertEquals(parse("--quick", "/d").quick, true);
  for (
    const [args, message] of [
      [[], "One directory is needed: received 0"],
      [["/a", "/b"], "received 2"],
      [["--only", "P3", "/d"], "received 'P3'"],
      [["--scale", "0", "/d"], "received '0'"],
      [["--scale", "much", "/d"], "received 'much'"],
      [["--fast", "/d"], "--fast"],
    ] as const
  ) {
    assertThrows(() => parse(...args), TypeError, message);
  }
});
