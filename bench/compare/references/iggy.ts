/** A real Iggy server and its own benchmark, if the directory `BASALT_IGGY_DIR` has them. */
import type { Context } from "../context.ts";
import type { Measured } from "../measure.ts";

/** The benchmark's report on its producers or consumers. */
export interface IggyResult extends Measured {
  /** Means of the actors' percentiles in milliseconds, because the benchmark does not pool them. */
  readonly p50: number;
  readonly p99: number;
}

/** Results that one run printed, by type of actor. */
export interface IggyRun {
  readonly producers?: IggyResult;
  readonly consumers?: IggyResult;
}

/** Returns the directory of the programs. If they are missing, what needs them is left out. */
export function iggyDirectory(
  context: Context,
  what: string,
): string | undefined {
  const place = Deno.env.get("BASALT_IGGY_DIR");
  if (place !== undefined && exists(`${place}/bin/iggy-server`)) return place;
  context.leaveOut(
    what,
    "no Iggy server: BASALT_IGGY_DIR must name a directory with bin/iggy-server and bin/iggy-bench",
  );
  return undefined;
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** A server on unused loopback ports, with its data in the run's directory. */
export class IggyServer implements AsyncDisposable {
  readonly #context: Context;
  readonly #directory: string;
  readonly #data: string;
  readonly #address: string;
  readonly #child: Deno.ChildProcess;

  private constructor(context: Context, directory: string, shards: number) {
    this.#context = context;
    this.#directory = directory;
    this.#data = context.path("iggy");
    Deno.mkdirSync(this.#data);
    const [tcp, http, quic, socket] = Array.from({ length: 4 }, freeAddress);
    this.#address = tcp!;
    this.#child = context.spawn(`${directory}/bin/iggy-server`, {
      args: ["--fresh"],
      cwd: this.#data,
      env: {
        IGGY_ROOT_USERNAME: "iggy",
        IGGY_ROOT_PASSWORD: "iggy",
        IGGY_SYSTEM_SHARDING_CPU_ALLOCATION: String(shards),
        IGGY_SYSTEM_PATH: `${this.#data}/data`,
        IGGY_TCP_ADDRESS: tcp!,
        IGGY_HTTP_ADDRESS: http!,
        IGGY_QUIC_ADDRESS: quic!,
        IGGY_WEBSOCKET_ADDRESS: socket!,
      },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    });
  }

  /** Starts a server and waits until it can be reached. */
  static async start(
    context: Context,
    directory: string,
    shards: number,
  ): Promise<IggyServer> {
    const server = new IggyServer(context, directory, shards);
    const [hostname, port] = server.#address.split(":");
    for (let attempt = 0;; attempt++) {
      try {
        (await Deno.connect({ hostname: hostname!, port: Number(port) }))
          .close();
        return server;
      } catch (error) {
        if (attempt === 100) {
          await server[Symbol.asyncDispose]();
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  /** Runs the benchmark with general options, followed by its kind and the options of that kind. */
  async bench(
    general: readonly string[],
    kind: readonly string[],
  ): Promise<IggyRun> {
    const output = await this.#context.run(
      `${this.#directory}/bin/iggy-bench`,
      [...general, ...kind, "tcp", "--server-address", this.#address],
      { cwd: this.#data, env: { NO_COLOR: "1" } },
    );
    const producers = result(output, "Producers");
    const consumers = result(output, "Consumers");
    if (producers === undefined && consumers === undefined) {
      throw new Error(`iggy-bench printed no result: ${output.slice(-500)}`);
    }
    return {
      ...producers === undefined ? {} : { producers },
      ...consumers === undefined ? {} : { consumers },
    };
  }

  /** Stops it and removes its data. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.status;
    Deno.removeSync(this.#data, { recursive: true });
  }
}

function freeAddress(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return `127.0.0.1:${port}`;
}

const RESULT =
  /(\w+) Results: Total throughput: ([\d.]+) MB\/s.*?p50 latency: ([\d.]+) ms.*?p99 latency: ([\d.]+) ms.*?total time: ([\d.]+) s/g;

/**
 * Throughput is bytes divided by the whole time, not the moving average that the benchmark prints.
 * `MB/s` times the time are the counted bytes.
 */
function result(
  output: string,
  actors: "Producers" | "Consumers",
): IggyResult | undefined {
  // deno-lint-ignore no-control-regex -- the colours of its log
  const plain = output.replaceAll(/\x1b\[[\d;]*m/g, "");
  for (const [, name, rate, p50, p99, seconds] of plain.matchAll(RESULT)) {
    if (name !== actors) continue;
    const bytes = Number(rate) * 1e6 * Number(seconds);
    return {
      seconds: Number(seconds),
      bytes,
      operations: bytes / 1e6,
      p50: Number(p50),
      p99: Number(p99),
    };
  }
  return undefined;
}
