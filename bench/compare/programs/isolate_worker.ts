/** The worker of `isolate.ts`. It receives its engine first, then actions. */
import {
  BufferPool,
  configureEngine,
  DirectFile,
  type EngineOptions,
  Log,
} from "../../../mod.ts";
import {
  readByTasks,
  readDirect,
  touchedBuffers,
  writeDirect,
} from "../direct.ts";
import { appendDurably } from "../durable.ts";
import type { Reply } from "../isolate.ts";
import { type Load, LoadedServer } from "../loaded_server.ts";
import type { Measured } from "../measure.ts";
import { MIB } from "../sizes.ts";

const DEPTH = 8;

const pool = new BufferPool();
const logs = new Map<string, Log>();
let server: LoadedServer | undefined;

const actions = {
  /** P2. */
  async readByTasks(
    path: string,
    tasks: number,
    ms: number,
  ): Promise<Measured> {
    await using file = await DirectFile.open(path, { pool });
    return await readByTasks(file, pool, tasks, ms);
  },
  /** P3. */
  async sequential(
    path: string,
    action: "read" | "write",
    ms: number,
  ): Promise<Measured> {
    const buffers = touchedBuffers(pool, DEPTH, MIB);
    try {
      return action === "read"
        ? await readDirect(path, buffers, ms)
        : await writeDirect(path, buffers, ms);
    } finally {
      for (const buffer of buffers) buffer.drop();
    }
  },
  /** P4, P5. The log of a directory stays open. */
  async appendDurably(
    dir: string,
    appenders: number,
    payloadBytes: number,
    ms: number,
  ): Promise<Measured> {
    let log = logs.get(dir);
    if (log === undefined) {
      log = await Log.open(dir, { pool });
      logs.set(dir, log);
    }
    return await appendDurably(log, appenders, payloadBytes, ms);
  },
  /** P13. Returns the port. */
  startServer(load: Load, path: string): number {
    server = new LoadedServer(load, path, pool);
    return server.port;
  },
  /** Returns the bytes of the load. */
  stopServer(): Promise<number> {
    return server!.stop();
  },
  /** Called before the worker ends. */
  async close(): Promise<void> {
    for (const log of logs.values()) await log.close();
    logs.clear();
  },
};

/** The actions of an isolate. */
export type Actions = typeof actions;

/** The worker's side of `postMessage`. */
interface Port {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: Reply): void;
}

const port = globalThis as unknown as Port;
let configured = false;
port.onmessage = async ({ data }) => {
  if (!configured) {
    configured = true;
    configureEngine(data as EngineOptions);
    return;
  }
  const { name, args } = data as { name: keyof Actions; args: unknown[] };
  try {
    const action = actions[name] as (...args: unknown[]) => unknown;
    port.postMessage({ value: await action(...args) });
  } catch (error) {
    port.postMessage({ error });
  }
};
