import { assert, assertEquals } from "@std/assert";
import { SeededRandom } from "@basalt/io/testing";
import { Histogram } from "../../lib/segment/write/histogram.ts";

/** Returns the smallest value that is at least as large as `percent` of `sorted`. */
function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.ceil(sorted.length * percent / 100) - 1]!;
}

Deno.test("Histogram.snapshot() agrees with sorting, with three exact digits in the percentiles", () => {
  const random = new SeededRandom(7);
  for (const bits of [3, 10, 11, 12, 20, 31, 32, 33, 45, 53]) {
    const histogram = new Histogram();
    const values = Array.from(
      { length: 1 + random.below(2000) },
      () => {
        const most = 2 ** (1 + random.below(bits));
        return Math.max(1, Math.floor(random.below(2 ** 31) / 2 ** 31 * most));
      },
    );
    // The limits of the buckets.
    for (let bit = 0; bit < bits; bit++) {
      values.push(2 ** bit, Math.max(1, 2 ** bit - 1), 2 ** bit + 1);
    }
    for (const value of values) histogram.record(value);

    const sorted = values.toSorted((a, b) => a - b);
    const { count, min, mean, max, p50, p90, p99, p999 } = histogram.snapshot();
    assertEquals([count, min, max], [
      values.length,
      sorted[0],
      sorted.at(-1),
    ]);
    const sum = values.reduce((total, value) => total + value, 0);
    assertEquals(mean, sum / count);
    for (
      const [percent, found] of [[50, p50], [90, p90], [99, p99], [
        99.9,
        p999,
      ]] as const
    ) {
      const exact = percentile(sorted, percent);
      assert(
        exact <= found && found <= Math.min(exact * 1.001, max),
        `${percent} % of ${bits} bits: ${found} for ${exact}`,
      );
    }
  }
});

Deno.test("Histogram.record() takes values below 1 as 1, rounds, and is limited to 2^53 - 1", () => {
  const histogram = new Histogram();
  assertEquals(histogram.snapshot().count, 0);
  for (const value of [-5, 0, 0.4, 1.6, 2 ** 60]) histogram.record(value);
  const { count, min, p50, p90, max } = histogram.snapshot();
  assertEquals([count, min, p50, p90, max], [5, 1, 1, max, 2 ** 53 - 1]);
});

Deno.test("Histogram takes memory for the values that it counts, not for its whole range", () => {
  const rssMib = () => Deno.memoryUsage().rss / 2 ** 20;
  const before = rssMib();
  const kept = Array.from({ length: 500 }, () => {
    const histogram = new Histogram();
    for (const value of [1, 3, 900]) histogram.record(value);
    return histogram;
  });
  const taken = rssMib() - before;
  assertEquals(kept.at(-1)!.snapshot().count, 3);
  // With 350 KiB each, like those of the runtime, they would take 170 MiB.
  assert(taken < 40, `500 took ${taken} MiB`);
});
