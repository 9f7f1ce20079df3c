import {
  type JetStreamManager,
  jetstreamManager,
  type StoredMsg,
  type StreamAPI,
  type StreamConfig,
} from "@nats-io/jetstream";
import { ClosedConnectionError, type NatsConnection } from "@nats-io/nats-core";
import { abortable, delay } from "../base/mod.ts";
import { ShippingError } from "../ship/mod.ts";
import { CODE, isRefusal } from "./_replies.ts";

/**
 * A connection of the NATS client: what `connect` of `@nats-io/transport-node` returns.
 *
 * Only the members that identify such a connection are listed here.
 */
export interface JetStreamConnection {
  /** Whether the connection was closed for good. */
  isClosed(): boolean;
  /** Resolves when the connection is closed, to the error if there is one. */
  closed(): Promise<void | Error>;
  /** Returns the address of the server. */
  getServer(): string;
  /** Resolves when the server has taken all that was published. */
  flush(): Promise<void>;
}

/** A subject of a stream. */
export interface JetStreamAddress {
  /** The name of the stream. */
  stream: string;
  /** The subject of the messages, used by one log only. */
  subject: string;
}

/** Which messages, and how long to wait for the servers. */
export interface JetStreamOptions extends JetStreamAddress {
  /** How long a request may take, in milliseconds. Default: `5000`. */
  timeoutMs?: number;
}

/** A missing stream is looked for this often: a cluster that starts may not know it yet. */
const LOOKS = 3;
/** The delay between two looks, in milliseconds. */
const LOOK_DELAY_MS = 500;

/** Asks the servers about one subject of a stream. */
export class StreamView {
  readonly stream: string;
  readonly subject: string;
  readonly timeoutMs: number;
  readonly connection: NatsConnection;
  #manager: JetStreamManager | undefined;

  /** Checks the names of the stream and the subject. */
  constructor(connection: JetStreamConnection, options: JetStreamOptions) {
    const { stream, subject, timeoutMs = 5000 } = options;
    checkName(
      "subject",
      subject,
      /^[^\s*>.]+(\.[^\s*>.]+)*$/,
      'one subject without wildcards, such as "edge.7"',
    );
    checkName(
      "stream",
      stream,
      /^[^\s.*>/\\]+$/,
      "a name without white space and . * > / \\",
    );
    this.connection = connection as NatsConnection;
    this.stream = stream;
    this.subject = subject;
    this.timeoutMs = timeoutMs;
  }

  /**
   * Returns the configuration of the stream.
   *
   * @throws {ShippingError} If there is none, or it does not have the subject.
   */
  async config(signal: AbortSignal): Promise<StreamConfig> {
    const { stream, subject } = this;
    const { config } = await this.#asked((all) => all.info(stream), signal);
    if (config.subjects?.some((each) => includesSubject(each, subject))) {
      return config;
    }
    throw new ShippingError(
      "unfit",
      `Stream '${stream}' does not store subject '${subject}': its subjects are ${
        config.subjects?.map((each) => `'${each}'`).join(", ") || "none"
      }`,
    );
  }

  /**
   * Returns the last message of the subject or, with a sequence, the first one from there; `null` if
   * there is none.
   */
  message(signal: AbortSignal, seq?: number): Promise<StoredMsg | null> {
    const { stream, subject } = this;
    const query = seq === undefined
      ? { last_by_subj: subject }
      : { seq, next_by_subj: subject };
    return this.#asked((streams) => streams.getMessage(stream, query), signal);
  }

  /** Asks the servers, and asks again if they do not know the stream. */
  async #asked<T>(
    ask: (streams: StreamAPI) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    this.#manager ??= await jetstreamManager(this.connection, {
      timeout: this.timeoutMs,
      checkAPI: false,
    });
    for (let look = 1;; look++) {
      try {
        return await abortable(ask(this.#manager.streams), signal);
      } catch (error) {
        this.refuseClosed(error);
        if (!isRefusal(error, CODE.STREAM_NOT_FOUND)) throw error;
        if (look === LOOKS) {
          throw new ShippingError(
            "gone",
            `There is no stream '${this.stream}'`,
            { cause: error },
          );
        }
      }
      await delay(LOOK_DELAY_MS, signal);
    }
  }

  /**
   * Refuses to continue with a connection that was closed.
   *
   * @throws {ShippingError} If it was.
   */
  refuseClosed(error: unknown): void {
    if (!this.connection.isClosed()) return;
    const cause = error instanceof ClosedConnectionError ? "" : `: ${error}`;
    throw new ShippingError(
      "gone",
      `The connection to NATS was closed${cause}. A program at the edge connects with maxReconnectAttempts: -1`,
      { cause: error },
    );
  }
}

/**
 * Lists the settings of a stream that can remove the last message of a subject.
 *
 * A shipper needs that message to know where to continue.
 */
export function losses(config: StreamConfig): string[] {
  const { retention, max_age, max_msgs, max_bytes, discard } = config;
  const found: string[] = [];
  if (retention !== "limits") found.push(`retention is "${retention}"`);
  if (max_age > 0) found.push(`max_age is ${max_age / 1e9} s`);
  if (discard === "old" && max_msgs > 0) found.push(`max_msgs is ${max_msgs}`);
  if (discard === "old" && max_bytes > 0) {
    found.push(`max_bytes is ${max_bytes}`);
  }
  return found;
}

function checkName(
  what: string,
  name: string,
  pattern: RegExp,
  needed: string,
): void {
  if (typeof name === "string" && pattern.test(name)) return;
  throw new TypeError(
    `Cannot use ${what} ${Deno.inspect(name)}: it must be ${needed}`,
  );
}

/** Whether a subject of a stream, which may have wildcards, includes another subject. */
function includesSubject(pattern: string, subject: string): boolean {
  const wanted = pattern.split(".");
  const tokens = subject.split(".");
  for (const [i, token] of wanted.entries()) {
    if (token === ">") return tokens.length > i;
    if (token !== "*" && token !== tokens[i]) return false;
  }
  return wanted.length === tokens.length;
}
