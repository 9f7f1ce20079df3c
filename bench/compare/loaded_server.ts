/** A server on a loopback address, and a load beside it in the same isolate. */
import { type BufferPool, Log } from "../../mod.ts";
import { appendWhenReady } from "./logs.ts";
import { MIB } from "./sizes.ts";

/** The load of the isolate besides the server. */
export type Load = "log" | "file" | "none";

const BATCH = 1000;
const PAYLOAD_BYTES = 1000;
const MESSAGE_BYTES = 64 + PAYLOAD_BYTES;
/** Maximum number of bytes that the log and the file leave unsynced. */
const SYNC_BYTES = 16 * MIB;
/** Maximum disk space of each, in bytes. */
const FILE_BYTES = 256 * MIB;

/** Serves and writes at full speed until it is stopped. */
export class LoadedServer {
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("ok"),
  );
  readonly #bytes: Promise<number>;
  #stopped = false;

  /** Starts the server and the load. */
  constructor(load: Load, path: string, pool: BufferPool) {
    const stopped = (): boolean => this.#stopped;
    if (load === "log") this.#bytes = loadLog(path, pool, stopped);
    else if (load === "file") this.#bytes = loadFile(path, stopped);
    else this.#bytes = Promise.resolve(0);
  }

  /** The port. */
  get port(): number {
    return this.#server.addr.port;
  }

  /** Stops both, and returns the number of bytes written. */
  async stop(): Promise<number> {
    this.#stopped = true;
    const bytes = await this.#bytes;
    await this.#server.shutdown();
    return bytes;
  }
}

/** Waits for a turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

async function loadLog(
  dir: string,
  pool: BufferPool,
  stopped: () => boolean,
): Promise<number> {
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x5a);
  const batch: Uint8Array[] = new Array(BATCH).fill(payload);
  const log = await Log.open(dir, { pool, segmentBytes: FILE_BYTES });
  let rolls = 0;
  while (!stopped()) {
    await appendWhenReady(log, batch);
    if (log.stats().rolls !== rolls) {
      rolls = log.stats().rolls;
      await log.truncateBefore(log.writtenOffset);
    }
    await turn();
  }
  await log.close();
  Deno.removeSync(dir, { recursive: true });
  return log.stats().appendedBytes;
}

async function loadFile(
  path: string,
  stopped: () => boolean,
): Promise<number> {
  const batch = new Uint8Array(BATCH * MESSAGE_BYTES).fill(0x5a);
  using file = await Deno.open(path, { write: true, create: true });
  let bytes = 0;
  let unsynced = 0;
  let position = 0;
  while (!stopped()) {
    for (let at = 0; at < batch.length;) {
      at += await file.write(batch.subarray(at));
    }
    bytes += batch.length;
    position += batch.length;
    unsynced += batch.length;
    if (unsynced >= SYNC_BYTES) {
      await file.syncData();
      unsynced = 0;
    }
    if (position >= FILE_BYTES) {
      await file.seek(0, Deno.SeekMode.Start);
      position = 0;
    }
    await turn();
  }
  await file.syncData();
  Deno.removeSync(path);
  return bytes;
}
