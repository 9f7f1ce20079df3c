/**
 * Starts a real Iggy server for tests: `bin/iggy-server` in the directory `BASALT_IGGY_DIR`. It
 * listens on free loopback ports, and has a data directory of its own.
 *
 * @module
 */
import { ALL } from "../permissions.ts";

/** How long a server may take to reply or to end, in milliseconds. */
const PATIENCE_MS = 20_000;

/** A message of the server's reply. Ids and checksums are above 2^53, so they are texts. */
export interface ServerMessage {
  header: {
    id: string;
    checksum: string;
    offset: number;
    timestamp: number;
    origin_timestamp: number;
    payload_length: number;
    user_headers_length: number;
  };
  /** Base64. */
  payload: string;
  user_headers: {
    key: { kind: string; value: string };
    value: { kind: string; value: string };
  }[];
}

/**
 * Returns the directory with the recorded segments: `BASALT_IGGY_DIR`, or the one beside the
 * checkout.
 */
export function iggyDirectory(): string {
  return Deno.env.get("BASALT_IGGY_DIR") ??
    new URL("../../../shared/iggy", import.meta.url).pathname;
}

/** Returns why no server can be started here, or `undefined`. */
function reasonWithoutServer(): string | undefined {
  if (!ALL) return "not all permissions";
  if (Deno.env.get("BASALT_IGGY_DIR") === undefined) {
    return "BASALT_IGGY_DIR names no directory with bin/iggy-server";
  }
  const binary = `${iggyDirectory()}/bin/iggy-server`;
  try {
    Deno.statSync(binary);
  } catch {
    return `${binary} is missing`;
  }
  const dir = Deno.makeTempDirSync({ prefix: "basalt_iggy_" });
  try {
    const { success, stderr } = new Deno.Command(executable(dir), {
      args: ["--version"],
      stdout: "null",
    }).outputSync();
    const said = new TextDecoder().decode(stderr).trim();
    if (success) return undefined;
    return said.includes("libhwloc") ? "libhwloc15 is not installed" : said;
  } catch (error) {
    return (error as Error).message;
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

/** The reason why tests cannot start a server. It is determined once, and printed. */
export const WITHOUT_SERVER: string | undefined = reasonWithoutServer();
if (WITHOUT_SERVER !== undefined) {
  console.log(`skipped: tests with an Iggy server: ${WITHOUT_SERVER}`);
}

/** Returns the binary, or a copy in `dir` where the file itself may not be run. */
function executable(dir: string): string {
  const binary = `${iggyDirectory()}/bin/iggy-server`;
  if ((Deno.statSync(binary).mode ?? 0) & 0o111) return binary;
  const copy = `${dir}/iggy-server`;
  Deno.copyFileSync(binary, copy);
  Deno.chmodSync(copy, 0o700);
  return copy;
}

/**
 * The Iggy of a test: a data directory, and a server that runs on it at times. All of it is removed
 * when the test ends.
 */
export class Iggy implements AsyncDisposable {
  readonly #dir = Deno.makeTempDirSync({ prefix: "basalt_iggy_" });
  readonly #binary = executable(this.#dir);
  #process: Deno.ChildProcess | undefined;
  #address = "";
  #token = "";

  /** The server's data directory. */
  get data(): string {
    return `${this.#dir}/data`;
  }

  /** Returns the directory of a partition of stream 0, topic 0. */
  partition(id = 0): string {
    return `${this.data}/streams/0/topics/0/partitions/${id}`;
  }

  /** The process id of the server, while one runs. */
  get pid(): number {
    return this.#process!.pid;
  }

  /** Starts a server on the data directory. It accepts requests when this resolves. */
  async start(settings: Record<string, string> = {}): Promise<void> {
    const config = `${this.data}/runtime/current_config.toml`;
    // The ports of the last server would be taken for those of this one.
    removeIfThere(config);
    const ports = ["HTTP", "TCP", "QUIC", "WEBSOCKET"].map((name) =>
      [`IGGY_${name}_ADDRESS`, "127.0.0.1:0"] as const
    );
    this.#process = new Deno.Command(this.#binary, {
      stdin: "null",
      stdout: "null",
      stderr: "null",
      env: {
        IGGY_ROOT_USERNAME: "iggy",
        IGGY_ROOT_PASSWORD: "iggy",
        IGGY_SYSTEM_SHARDING_CPU_ALLOCATION: "1",
        IGGY_SYSTEM_PATH: this.data,
        ...Object.fromEntries(ports),
        ...settings,
      },
    }).spawn();
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        // The server writes its ports once it listens on all of them.
        const text = Deno.readTextFileSync(config);
        this.#address = /\[http\][^[]*?address = "([^"]+)"/.exec(text)![1]!;
        const login = await this.#call("POST", "/users/login", {
          username: "iggy",
          password: "iggy",
        }) as { access_token: { token: string } };
        this.#token = login.access_token.token;
        return;
      } catch (error) {
        if (performance.now() > until) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  /** Ends the server like an administrator: it writes what it has, and syncs. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined) return;
    process.kill(signal);
    const late = setTimeout(() => process.kill("SIGKILL"), PATIENCE_MS);
    await process.status;
    clearTimeout(late);
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`http://${this.#address}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`${method} ${path}: ${response.status} ${text}`);
    }
    if (text === "") return undefined;
    return JSON.parse(
      text.replaceAll(/"(id|checksum)":(\d{16,})/g, '"$1":"$2"'),
    );
  }

  /** Creates a stream. The first one has the id 0. */
  async createStream(name: string): Promise<void> {
    await this.#call("POST", "/streams", { name });
  }

  /** Creates a topic. The first one of a stream has the id 0. */
  async createTopic(
    name: string,
    options: { stream?: number | string; partitions?: number } = {},
  ): Promise<void> {
    await this.#call("POST", `/streams/${options.stream ?? 0}/topics`, {
      name,
      partitions_count: options.partitions ?? 1,
      compression_algorithm: "none",
      message_expiry: 0,
      max_topic_size: 0,
    });
  }

  /** Makes any other call, such as renaming or removing. */
  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    return await this.#call(method, path, body);
  }

  /** Appends to a partition of stream 0, topic 0. */
  async append(
    messages: readonly {
      payload: Uint8Array;
      headers?: ServerMessage["user_headers"];
    }[],
    partition = 0,
  ): Promise<void> {
    const id = new Uint8Array(new Uint32Array([partition]).buffer);
    await this.#call("POST", "/streams/0/topics/0/messages", {
      partitioning: { kind: "partition_id", value: id.toBase64() },
      messages: messages.map(({ payload, headers }) => ({
        id: 0,
        payload: payload.toBase64(),
        ...(headers === undefined ? {} : { user_headers: headers }),
      })),
    });
  }

  /** Polls a partition of stream 0, topic 0. */
  async poll(
    kind: "offset" | "timestamp",
    value: number,
    count: number,
    partition = 0,
  ): Promise<ServerMessage[]> {
    const query = new URLSearchParams({
      consumer_id: "1",
      partition_id: `${partition}`,
      kind,
      value: `${value}`,
      count: `${count}`,
      auto_commit: "false",
    });
    const path = `/streams/0/topics/0/messages?${query}`;
    const answer = await this.#call("GET", path) as {
      messages: ServerMessage[];
    };
    return answer.messages;
  }

  /** Stores the offset of a consumer in a partition of stream 0, topic 0. */
  async storeOffset(consumer: number, offset: number): Promise<void> {
    await this.#call("PUT", "/streams/0/topics/0/consumer-offsets", {
      consumer_id: consumer,
      partition_id: 0,
      offset,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop("SIGKILL");
    } finally {
      Deno.removeSync(this.#dir, { recursive: true });
    }
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
