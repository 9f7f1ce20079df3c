/**
 * What `basalt ship` and `basalt pull` share: options, and a connection to NATS.
 *
 * @module
 */
import type { Command } from "commander";
import type { PeerCertificate } from "node:tls";
import type {
  ConnectionOptions,
  NatsConnection,
} from "@nats-io/transport-node";
import { delay } from "../base/mod.ts";
import type { Console } from "./_console.ts";
import { Interrupted, Interruption } from "./_interruption.ts";

/** How long the first connection may take, in milliseconds. */
const CONNECT_MS = 5000;
/** The client leaves a server that does not answer two pings. */
const PING_INTERVAL_MS = 5000;
/** The delay before a server that cannot be reached is tried again, in milliseconds. */
const RETRY_MS = 1000;

/** The options that `ship` and `pull` share. */
export interface NatsFlags {
  /** The name of the stream. */
  stream: string;
  /** The subject. */
  subject: string;
  /** A file with credentials (JWT and seed). */
  creds?: string;
  /** The name of the user. */
  user?: string;
  /** A file with the user's password. */
  passwordFile?: string;
  /** A file with the certificates of trusted authorities. */
  tlsCa?: string;
  /** A file with the certificate of the client. */
  tlsCert?: string;
  /** A file with the key of that certificate. */
  tlsKey?: string;
  /** Whether to report as JSON. */
  json?: true;
}

/** What the help of both commands says. */
export const NATS_HELP =
  `Give several servers of a cluster with commas between them. --allow-net must allow them. TLS is
used if the server requires it.`;

/** Adds the argument and the options that both commands share. */
export function natsOptions(made: Command, servers: "to" | "from"): Command {
  return made
    .argument("<dir>", "the log's directory")
    .requiredOption(`--${servers} <urls>`, "the servers")
    .requiredOption("--stream <name>", "the stream")
    .requiredOption("--subject <subject>", "the subject, for this log alone")
    .option("--creds <file>", "credentials of the user: JWT and seed")
    .option("--user <name>", "the name of the user")
    .option("--password-file <file>", "the password of the user")
    .option("--tls-ca <file>", "certificates of the authorities to trust")
    .option("--tls-cert <file>", "the client's certificate")
    .option("--tls-key <file>", "the key of the client's certificate")
    .option("--json", "report as JSON");
}

/** Errors that may pass: names of the client's errors, and codes of the system's. */
const PASSING = /^(ConnectionError|TimeoutError|E(?!RR_)[A-Z_]+)$/;

/** How to connect. */
interface ConnectFlags extends NatsFlags {
  /** Addresses, with commas between them. */
  servers: string;
  /** Whether to wait for servers that cannot be reached. */
  waits: boolean;
}

/**
 * Connects to NATS, runs the work, and prints what it returns: for `--json` and in words.
 *
 * @throws {Interrupted} After Ctrl-C.
 */
export async function withNats(
  flags: ConnectFlags,
  console: Console,
  work: (
    connection: NatsConnection,
    interruption: Interruption,
  ) => Promise<[report: unknown, text: string]>,
): Promise<void> {
  using interruption = new Interruption();
  const { signal } = interruption;
  const connection = await connect(flags, signal, console);
  // Disposing of the connection itself would wait for servers that are down.
  await using closing = new AsyncDisposableStack();
  closing.defer(() => connection.close());
  const [report, text] = await work(connection, interruption);
  if (flags.json) console.json(report);
  if (signal.aborted) throw new Interrupted(`Interrupted: ${text}`);
  if (!flags.json) console.text(text);
}

/**
 * Connects to NATS.
 *
 * @throws {Interrupted} If the signal is aborted first.
 * @throws If the servers refuse the user or have the wrong certificate or, without waiting, cannot
 *   be reached.
 */
async function connect(
  flags: ConnectFlags,
  signal: AbortSignal,
  console: Console,
): Promise<NatsConnection> {
  const { servers, waits } = flags;
  const nats = await import("@nats-io/transport-node");
  globalThis.addEventListener("error", ignoreAbandoned);
  tlsAlert = undefined;
  const options = await connectionOptions(flags, nats);
  let lastMessage = "";
  while (!signal.aborted) {
    try {
      return await nats.connect(options);
    } catch (error) {
      const { name, message, code } = error as Error & { code?: string };
      const reason = tlsAlert ?? message;
      const text = `Cannot connect to NATS at '${servers}': ${reason}`;
      if (!waits || tlsAlert || !PASSING.test(code ?? name)) {
        throw new Error(text, { cause: error });
      }
      if (message !== lastMessage) console.error(`basalt: ${text}. Waiting`);
      lastMessage = message;
    }
    await delay(RETRY_MS, signal);
  }
  throw new Interrupted("Interrupted");
}

/** Why a server ended the TLS handshake, if Deno reported it. */
let tlsAlert: string | undefined;

/**
 * Ignores the end of a socket that the client has already left, for example when the server refuses
 * the user or the certificate. Nothing else could catch this error, and it would end the process.
 */
function ignoreAbandoned(event: ErrorEvent): void {
  const { code, message = "" } = event.error ?? {};
  const isAlert = message.startsWith("received fatal alert");
  if (isAlert) tlsAlert = message;
  if (isAlert || code === "ECONNRESET") event.preventDefault();
}

async function connectionOptions(
  flags: ConnectFlags,
  { credsAuthenticator }: typeof import("@nats-io/transport-node"),
): Promise<ConnectionOptions> {
  const { creds, user, passwordFile, tlsCa, tlsCert, tlsKey } = flags;
  const hosts = flags.servers.split(",");
  const options: ConnectionOptions = {
    servers: hosts,
    name: "basalt",
    maxReconnectAttempts: -1,
    timeout: CONNECT_MS,
    pingInterval: PING_INTERVAL_MS,
  };
  if (creds !== undefined) {
    options.authenticator = credsAuthenticator(Deno.readFileSync(creds));
  }
  if (user !== undefined) options.user = user;
  if (passwordFile !== undefined) {
    options.pass = Deno.readTextFileSync(passwordFile).trimEnd();
  }
  if ((tlsCa ?? tlsCert ?? tlsKey) !== undefined) {
    options.tls = {
      ...tlsCa !== undefined && { ca: Deno.readTextFileSync(tlsCa) },
      ...tlsCert !== undefined && { cert: Deno.readTextFileSync(tlsCert) },
      ...tlsKey !== undefined && { key: Deno.readTextFileSync(tlsKey) },
      ...await identityCheck(hosts),
    };
  }
  return options;
}

/**
 * Returns an option of `node:tls` that checks the name in a server's certificate.
 *
 * The default check does not get the address of a server without a name, so this one accepts any of
 * the given servers.
 */
async function identityCheck(servers: readonly string[]) {
  const { checkServerIdentity } = await import("node:tls");
  const hosts = servers.map((each) =>
    new URL(each.includes("://") ? each : `nats://${each}`).hostname
      .replace(/^\[|\]$/g, "")
  );
  return {
    checkServerIdentity(_: string, certificate: PeerCertificate) {
      const errors = hosts.map((host) =>
        checkServerIdentity(host, certificate)
      );
      return errors.includes(undefined) ? undefined : errors[0];
    },
  };
}
