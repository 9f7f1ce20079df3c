/**
 * Opens logs with default options, appends one durable message to each, measures what they hold,
 * and closes them: `DIR COUNT [settle]`.
 */
import { BufferPool, Log } from "../../../mod.ts";

/** The line that is printed. Sums are over all logs. */
export interface ManyLogs {
  /** Opening and appending. */
  readonly openMs: number;
  readonly closeMs: number;
  readonly poolBytes: number;
  /** Descriptors that one more log takes. */
  readonly descriptors: number;
  /** Disk beyond the files' sizes after closing; 0 unless it was asked to settle. */
  readonly diskBytes: number;
}

const PAYLOAD_BYTES = 256;
const POLL_MS = 200;
/** Polls without a change until preparing counts as over. */
const STEADY_POLLS = 5;

const [dir, count, settle] = Deno.args;

function descriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

function sum(of: (stat: Deno.FileInfo) => number): number {
  let total = 0;
  for (const { name } of Deno.readDirSync(dir!)) {
    for (const file of Deno.readDirSync(`${dir}/${name}`)) {
      try {
        total += of(Deno.statSync(`${dir}/${name}/${file.name}`));
      } catch (error) {
        // The log removed it in between.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
  return total;
}

/** The disk that the files take once it does not change. */
async function allocated(): Promise<number> {
  let [bytes, steady] = [-1, 0];
  while (steady < STEADY_POLLS) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const now = sum(({ blocks }) => (blocks ?? 0) * 512);
    steady = now === bytes ? steady + 1 : 0;
    bytes = now;
  }
  return bytes;
}

Deno.mkdirSync(dir!);
const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x5a);
const poolBefore = BufferPool.default().stats().mappedBytes;
{
  // The first log opens and syncs what all of them share.
  await using log = await Log.open(`${dir}-first`);
  await log.appendDurable(payload);
}
const start = performance.now();
const logs: Log[] = [];
// What the process opens once is there by the middle: it is no log's.
const middle = Number(count) >> 1;
let descriptorsAtMiddle = 0;
for (let i = 0; i < Number(count); i++) {
  if (i === middle) descriptorsAtMiddle = descriptors();
  const log = await Log.open(`${dir}/${i}`);
  await log.appendDurable(payload);
  logs.push(log);
}
const openMs = performance.now() - start;
const poolBytes = BufferPool.default().stats().mappedBytes - poolBefore;
const taken = (descriptors() - descriptorsAtMiddle) / (logs.length - middle);
const allocatedBytes = settle === "settle" ? await allocated() : 0;
const closing = performance.now();
for (const log of logs) await log.close();
const closeMs = performance.now() - closing;
const result: ManyLogs = {
  openMs,
  closeMs,
  poolBytes,
  // One that the runtime opens or closes meanwhile is no log's.
  descriptors: Math.round(taken * 100) / 100,
  diskBytes: settle === "settle" ? allocatedBytes - sum(({ size }) => size) : 0,
};
console.log(JSON.stringify(result));
