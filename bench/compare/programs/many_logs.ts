/**
 * Opens logs with default options, appends one durable message to each, measures their resources,
 * and closes them. Arguments: `DIR COUNT [settle]`.
 */
import { BufferPool, Log } from "../../../mod.ts";

/** The line that is printed. Sums are over all logs. */
export interface ManyLogs {
  /** Time of opening and appending. */
  readonly openMs: number;
  readonly closeMs: number;
  readonly poolBytes: number;
  /** Descriptors that one more log takes. */
  readonly descriptors: number;
  /** Disk space beyond the files' sizes after closing. 0 without `settle`. */
  readonly diskBytes: number;
}

const PAYLOAD_BYTES = 256;
const POLL_MS = 200;
/** Number of polls without a change after which preparation counts as finished. */
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

/** Returns the disk space of the files once it no longer changes. */
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
// What the process itself opens is open by the middle, and does not count.
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
  // A descriptor that the runtime opens or closes meanwhile does not count.
  descriptors: Math.round(taken * 100) / 100,
  diskBytes: settle === "settle" ? allocatedBytes - sum(({ size }) => size) : 0,
};
console.log(JSON.stringify(result));
