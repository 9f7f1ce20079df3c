/**
 * A mixed load for a while: what a process holds must not grow. BASALT_SOAK_MINUTES sets the
 * minutes, a quarter of one by default.
 */
import { assert, assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import type { Sample, SoakReport } from "./soak_child.ts";

const MINUTES = Number(ALL ? Deno.env.get("BASALT_SOAK_MINUTES") ?? 0.25 : 0);
/**
 * The share of a run that is warm-up: code is compiled, and pools and heaps reach the size that the
 * load needs.
 */
const WARM_UP = 0.2;
/**
 * More than this is growth, in MiB a minute. In a run of seconds the collector makes it vary much
 * more.
 */
const MAX_SLOPE_MIB = MINUTES >= 5 ? 1 : 100;
/**
 * Reachable memory may grow by this much, in MiB, for compiled code and tables. One leaked object
 * for each buffer or message would be more.
 */
const MAX_REACHABLE_MIB = 2;
/**
 * V8 starts with a young generation of 1 MiB, and doubles it up to these 16 MiB (three times)
 * whenever enough survives a collection. Resident memory then rises in steps of 6, 12 and 24 MiB
 * for minutes, whatever the program does. At full size from the start, any further rise comes from
 * the program.
 */
const V8_FLAGS =
  "--expose-gc,--min-semi-space-size=16,--max-semi-space-size=16";

/** Returns the slope of a figure a minute, by least squares. */
function slope(
  samples: readonly Sample[],
  figure: (sample: Sample) => number,
): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [x, y] = [mean((each) => each.minutes), mean(figure)];
  let [above, below] = [0, 0];
  for (const sample of samples) {
    above += (sample.minutes - x) * (figure(sample) - y);
    below += (sample.minutes - x) ** 2;
  }
  return above / below;
}

/** Runs the load in a process of its own. */
async function soak(dir: string): Promise<SoakReport> {
  const program = new URL("soak_child.ts", import.meta.url).href;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--allow-all",
      `--v8-flags=${V8_FLAGS}`,
      program,
      dir,
      String(MINUTES),
    ],
    stderr: "inherit",
  }).output();
  assertEquals(code, 0);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Returns the slope of each part of resident memory, in MiB a minute. */
function parts(samples: readonly Sample[]): string {
  const rest = (each: Sample) =>
    each.rssMib - each.heapMib - each.poolsMib - each.programMib;
  return ([
    ["JavaScript's heap", (each) => each.heapMib],
    ["pools", (each) => each.poolsMib],
    ["program", (each) => each.programMib],
    ["the rest", rest],
  ] as [string, (sample: Sample) => number][])
    .map(([name, figure]) =>
      `${name} ${figure(samples.at(-1)!).toFixed(0)} MiB, ${
        slope(samples, figure).toFixed(2)
      } a minute`
    ).join("; ");
}

Deno.test(
  `Log under mixed load for ${MINUTES} minutes: memory, descriptors and threads do not grow, and nothing is cached`,
  {
    ignore: !ALL,
  },
  async () => {
    const dir = Deno.makeTempDirSync({ prefix: "basalt_soak_" });
    try {
      const report = await soak(dir);
      const { samples, reachableMib: [early, late] } = report;
      const warm = Math.ceil(WARM_UP * samples.length);
      const settled = samples.slice(warm);
      const [first, last] = [settled[0]!, settled.at(-1)!];
      const mibAMinute = slope(settled, (each) => each.rssMib);
      console.log(
        `${report.acknowledged} acknowledged, ${report.read} read, ${report.transfers} transfers, ${report.churned} buffers; ` +
          `RSS ${samples[0]!.rssMib.toFixed(0)} MiB at first, ${
            first.rssMib.toFixed(0)
          } after ${100 * WARM_UP} % of the time, ${
            last.rssMib.toFixed(0)
          } at the end: ${
            mibAMinute.toFixed(2)
          } MiB a minute over the last 80 % (${parts(settled)}); ` +
          `reachable ${early.toFixed(2)} and ${late.toFixed(2)} MiB; ` +
          `${last.descriptors} descriptors, ${last.threads} threads; ${report.cachedPages} pages cached after closing`,
      );
      assert(mibAMinute <= MAX_SLOPE_MIB, `${mibAMinute} MiB a minute`);
      assert(
        late - early <= MAX_REACHABLE_MIB,
        `reachable: from ${early} to ${late} MiB`,
      );
      for (const held of ["descriptors", "threads"] as const) {
        const most = (all: Sample[]) =>
          Math.max(...all.map((each) => each[held]));
        // A roll or a read between two samples holds some files.
        assert(
          most(settled) <= most(samples.slice(0, warm)) + 6,
          `${held}: ${samples.map((each) => each[held])}`,
        );
      }
      assertEquals([report.leasedBytes, report.cachedPages], [0, 0]);
      const { acknowledged, read, transfers } = report;
      assert(acknowledged > 100 && read > 100 && transfers > 10);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);
