/**
 * Writes a log whose segment may not grow beyond `RLIMIT_FSIZE`, then raises the limit and
 * continues. Usage: `file_limit_child.ts DIRECTORY LIMIT_BYTES`. Prints as JSON what happened.
 */
import { Log, LogReader, NoSpaceError } from "../../../mod.ts";

const [directory, limitBytes] = Deno.args;
const RLIMIT_FSIZE = 1;

const libc = Deno.dlopen("libc.so.6", {
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
});

/** Sets the soft limit, and leaves the hard limit as it is. */
function limitFiles(bytes?: bigint): void {
  const limits = new BigUint64Array(2);
  if (libc.symbols.getrlimit(RLIMIT_FSIZE, limits) !== 0) throw new Error();
  limits[0] = bytes ?? limits[1]!;
  if (libc.symbols.setrlimit(RLIMIT_FSIZE, limits) !== 0) throw new Error();
}

/** Appends until it fails, and returns the error. */
async function fill(log: Log): Promise<NoSpaceError> {
  const message = new Uint8Array(100_000);
  try {
    for (let i = 0; i < 1000; i++) await log.appendDurable(message);
  } catch (error) {
    if (error instanceof NoSpaceError) return error;
    throw error;
  }
  throw new Error("there is no limit");
}

async function count(log: Log | LogReader): Promise<number> {
  let count = 0;
  for await (using batch of log.read({ from: 0 })) count += batch.count;
  return count;
}

limitFiles(BigInt(limitBytes!));
const log = await Log.open(directory!);
const { code, path, durableOffset } = await fill(log);
const again = await log.flush().then(
  () => "succeeded",
  (error) => error instanceof NoSpaceError && error.code,
);
const read = await count(log);
limitFiles();
await log.flush();
const { nextOffset } = log;
await log.appendDurable("more");
await log.close();
console.log(JSON.stringify({
  code,
  path,
  isDurableRead: read === durableOffset,
  again,
  waited: nextOffset - durableOffset!,
  isWhole: await count(new LogReader(directory!)) === nextOffset + 1,
}));
