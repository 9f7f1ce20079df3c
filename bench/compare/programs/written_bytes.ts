/**
 * Writes a log, and prints how many bytes this process caused to be written. Arguments: `DIR MS
 * batches BATCH_BYTES` or `DIR MS lone`.
 */
import { Log } from "../../../mod.ts";
import { repeated } from "../durable.ts";
import { logFileBytes } from "../logs.ts";
import { logStream } from "../streams.ts";
import { PRODUCERS, workUnlimited } from "../workload.ts";

/** The line that is printed. */
export interface WrittenBytes {
  /** `write_bytes` of `/proc/self/io`: bytes of files, without the filesystem's journal. */
  readonly writtenBytes: number;
  readonly logBytes: number;
  /** Bytes that the log had prepared when its last message was durable. */
  readonly preparedBytes: number;
  readonly physicalBlock: number;
}

const LONE_BYTES = 4096;

function writeBytes(): number {
  const text = Deno.readTextFileSync("/proc/self/io");
  return Number(/^write_bytes: (\d+)$/m.exec(text)![1]);
}

async function writeBatches(
  dir: string,
  ms: number,
  batchLogBytes: number,
): Promise<void> {
  const stream = await logStream(dir, { batchLogBytes });
  await workUnlimited([stream], PRODUCERS, ms);
  await stream.close();
}

async function writeLone(
  dir: string,
  ms: number,
): Promise<{ preparedBytes: number; physicalBlock: number }> {
  await using log = await Log.open(dir);
  const payload = new Uint8Array(LONE_BYTES).fill(0x5a);
  await repeated(
    { ms, bytes: LONE_BYTES },
    () => log.appendDurable(payload),
  );
  const { preparedBytes } = log.stats();
  return { preparedBytes, physicalBlock: log.capabilities.physicalBlock };
}

const [dir, ms, action, batchBytes] = Deno.args;
const before = writeBytes();
const prepared = action === "lone"
  ? await writeLone(dir!, Number(ms))
  : { preparedBytes: 0, physicalBlock: 0 };
if (action === "batches") {
  await writeBatches(dir!, Number(ms), Number(batchBytes));
}
const result: WrittenBytes = {
  writtenBytes: writeBytes() - before,
  logBytes: logFileBytes(dir!),
  ...prepared,
};
console.log(JSON.stringify(result));
