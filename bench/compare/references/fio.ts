/** fio as a reference: one run as JSON. */
import type { Context } from "../context.ts";
import { BUCKET_MS, type Measured, PERCENTILES } from "../measure.ts";
import { available } from "../../../tools/run.ts";

/** One job. */
export interface FioJob {
  readonly file: string;
  readonly rw: "read" | "write" | "randread";
  readonly blockBytes: number;
  readonly depth: number;
  readonly engine: "psync" | "io_uring";
  readonly ms: number;
  /**
   * Whether its buffers are on huge pages, like Basalt's. By default they come from malloc, which
   * has none.
   */
  readonly huge?: boolean;
  /** Whether to keep a throughput curve. */
  readonly series?: boolean;
}

/** The parts of fio's JSON that are used here. */
interface FioResult {
  jobs: [
    & Record<"read" | "write", {
      io_bytes: number;
      total_ios: number;
      runtime: number;
      lat_ns: { percentile?: Record<string, number> };
    }>
    & { error: number; usr_cpu: number; sys_cpu: number; job_runtime: number },
  ];
}

let found: boolean | undefined;

/** Whether fio can be started. Otherwise, what needs it is left out. */
export async function hasFio(context: Context, what: string): Promise<boolean> {
  found ??= await available("fio", ["--version"]);
  if (!found) context.leaveOut(what, "fio is not installed");
  return found;
}

/**
 * Returns how fio gets huge pages here: reserved ones if there are any, or transparent ones that
 * glibc requests. The table names it.
 */
export function hugePages(): { name: string; how: "mmaphuge" | "thp" } {
  const free = /HugePages_Free:\s+(\d+)/.exec(
    Deno.readTextFileSync("/proc/meminfo"),
  );
  // Depth 8 times 1 MiB, and fio's own memory.
  return Number(free?.[1] ?? 0) >= 8
    ? { name: "--iomem=mmaphuge", how: "mmaphuge" }
    : { name: "glibc.malloc.hugetlb=1", how: "thp" };
}

let logs = 0;

/**
 * Runs a job. CPU time is fio's account of its own thread, and latency is from submission to
 * completion.
 */
export async function fio(context: Context, job: FioJob): Promise<Measured> {
  const huge = job.huge === true ? hugePages().how : undefined;
  const log = job.series === true ? context.path(`fio-${logs++}`) : undefined;
  const args = [
    "--name=compare",
    `--filename=${job.file}`,
    `--rw=${job.rw}`,
    `--bs=${job.blockBytes}`,
    `--iodepth=${job.depth}`,
    `--ioengine=${job.engine}`,
    "--direct=1",
    "--time_based",
    `--runtime=${Math.max(50, Math.round(job.ms))}ms`,
    "--randrepeat=0",
    "--norandommap",
    // Written data counts once it is on the disk, as on our side, and fio includes that time.
    ...job.rw === "write" ? ["--end_fsync=1"] : [],
    "--clat_percentiles=0",
    "--lat_percentiles=1",
    `--percentile_list=${PERCENTILES.join(":")}`,
    "--output-format=json",
  ];
  if (huge === "mmaphuge") args.push("--iomem=mmaphuge");
  if (log !== undefined) {
    args.push(`--write_bw_log=${log}`, `--log_avg_msec=${BUCKET_MS}`);
  }
  const output = await context.run("fio", args, {
    ...huge === "thp"
      ? { env: { GLIBC_TUNABLES: "glibc.malloc.hugetlb=1" } }
      : {},
  });
  // fio may print notes before the JSON.
  const { jobs: [result] } = JSON.parse(
    output.slice(output.indexOf("{")),
  ) as FioResult;
  if (result.error !== 0) throw new Error(`fio failed with ${result.error}`);
  const done = job.rw === "write" ? result.write : result.read;
  const latencies = Object.values(done.lat_ns.percentile ?? {});
  return {
    seconds: done.runtime / 1e3,
    operations: done.total_ios,
    bytes: done.io_bytes,
    cpuSeconds: (result.usr_cpu + result.sys_cpu) / 100 *
      result.job_runtime / 1e3,
    percentiles: latencies.map((nanoseconds) => nanoseconds / 1e3),
    ...log === undefined ? {} : { series: readSeries(`${log}_bw.1.log`) },
  };
}

/**
 * Parses the lines of a bandwidth log: `time in ms, KiB/s, …`, one for each {@linkcode BUCKET_MS}.
 */
function readSeries(path: string): number[] {
  const lines = Deno.readTextFileSync(path).trim().split("\n");
  Deno.removeSync(path);
  return lines.map((line) =>
    Number(line.split(",")[1]) * 1024 * BUCKET_MS / 1e3
  );
}
