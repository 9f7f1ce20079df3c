/** Uses a log on a filesystem of its own like a new user, and prints the results. */
import { BufferPool } from "../../lib/pool/mod.ts";
import { Log, LogReader } from "../../lib/log/mod.ts";
import { DirectFile, type NoSpaceError } from "../../lib/storage/mod.ts";
import { KIB, MIB, payload } from "../log/_support.ts";

const [mode, dir] = Deno.args as [string, string];
const pool = new BufferPool();
const path = `${dir}/log`;

async function thrown(call: () => unknown): Promise<Record<string, unknown>> {
  try {
    await call();
  } catch (error) {
    const { name, message } = error as Error;
    return { ...(error as NoSpaceError), name, message };
  }
  return { name: "no error" };
}

/** Reads everything, checks each message, and returns how many there are. */
async function readAll(from: Log | LogReader, bytes: number): Promise<number> {
  let n = 0;
  for await (using batch of from.read()) {
    for (let i = 0; i < batch.count; i++, n++) {
      const expected = payload(n, bytes);
      const found = batch.payload(i);
      if (
        found.length !== bytes ||
        found.some((byte, at) => byte !== expected[at])
      ) {
        throw new Error(`message ${n} is different`);
      }
    }
  }
  return n;
}

const modes: Record<string, () => Promise<unknown>> = {
  /** A disk that fills up, and has room again. */
  async full() {
    const filler = `${dir}/filler`;
    Deno.writeFileSync(filler, new Uint8Array(4 * MIB));
    const bytes = 64 * KIB;
    const log = await Log.open(path, { pool, segmentBytes: MIB });
    let failure: Record<string, unknown> | undefined;
    while (failure === undefined) {
      for (let i = 0; i < 8; i++) log.append(payload(log.nextOffset, bytes));
      const { name, ...fields } = await thrown(() => log.flush());
      if (name !== "no error") failure = { name, ...fields };
    }
    const durable = log.durableOffset;
    const twice = await thrown(() => log.flush());
    const reader = await readAll(new LogReader(path, { pool }), bytes);
    const appended = log.append(payload(log.nextOffset, bytes));
    Deno.removeSync(filler);
    await log.flush();
    const { durableOffset, nextOffset } = log;
    const own = await readAll(log, bytes);
    while ((await thrown(() => log.flush())).name === "no error") {
      for (let i = 0; i < 8; i++) log.append(payload(log.nextOffset, bytes));
    }
    const closing = await thrown(() => log.close());
    const reopened = await readAll(new LogReader(path, { pool }), bytes);
    return {
      failure,
      durable,
      twice,
      closing,
      reader,
      afterwards: { appended, durableOffset, nextOffset, own, reopened },
    };
  },

  /** A log that was closed, on a filesystem that has become read-only. */
  async readOnly() {
    const open = () => Log.open(path, { pool });
    return {
      open: await thrown(open),
      openSync: await thrown(() => Log.openSync(path, { pool })),
      make: await thrown(() => Log.open(`${dir}/new`, { pool })),
      file: await thrown(() =>
        DirectFile.open(`${dir}/new`, { write: true, create: true })
      ),
      existing: await thrown(() =>
        DirectFile.open(`${path}/00000000000000000000.log`, { write: true })
      ),
      reader: await readAll(new LogReader(path, { pool }), 1000),
      names: [...Deno.readDirSync(path)].map(({ name }) => name).sort(),
    };
  },

  /** Makes what the other modes find. */
  async prepare() {
    await using log = await Log.open(path, { pool, prepareBytes: 0 });
    for (let i = 0; i < 10; i++) log.append(payload(i, 1000));
    return {};
  },

  /** A special device or filesystem. */
  async use() {
    using file = DirectFile.openSync(`${dir}/file`, {
      read: true,
      write: true,
      create: true,
      pool,
    });
    const { tier, tierReason, offsetAlignment, logicalBlock, physicalBlock } =
      file.capabilities;
    using block = pool.acquireSync(8192, { zeroed: true });
    const misaligned = await thrown(() =>
      file.write(block, 512, { length: 4096 })
    );
    let log = await Log.open(path, { pool, segmentBytes: 256 * KIB });
    for (let i = 0; i < 700; i++) log.append(payload(i, 777));
    await log.flush();
    await log.close();
    log = await Log.open(path, { pool, prepareBytes: 0 });
    for (let i = 700; i < 710; i++) log.append(payload(i, 777));
    await log.close();
    const capabilities = {
      tier,
      tierReason,
      offsetAlignment,
      logicalBlock,
      physicalBlock,
    };
    return {
      capabilities,
      misaligned,
      read: await readAll(new LogReader(path, { pool }), 777),
    };
  },
};

console.log(JSON.stringify(await modes[mode]!()));
