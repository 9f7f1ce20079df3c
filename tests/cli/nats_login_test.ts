/** How `basalt ship` and `basalt pull` log in to a NATS server, and check its certificate. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { nkeys } from "@nats-io/nats-core";
import {
  type ConnectionOptions,
  credsAuthenticator,
} from "@nats-io/transport-node";
import { Log } from "../../lib/log/mod.ts";
import { Nats, SERVERS } from "../jetstream/_server.ts";
import { appendSome, assertStored, makeStream } from "../jetstream/_support.ts";
import { basalt, Directory, type Ran } from "./_support.ts";

const ignore = SERVERS.current === undefined;

/** Makes an authority, and certificates of a loopback server and of a client, as PEM files. */
async function makeCertificates(dir: Directory, name: string): Promise<void> {
  const openssl = async (...args: string[]) => {
    const command = new Deno.Command("openssl", { args, cwd: dir.path });
    const { success, stderr } = await command.output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  };
  const request = (of: string) => [
    ..."req -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout".split(
      " ",
    ),
    ...[`${of}.key`, "-subj", `/CN=${of}`, "-out"],
  ];
  await openssl(...request(name), `${name}.pem`, "-x509");
  Deno.writeTextFileSync(dir.file("names"), "subjectAltName=IP:127.0.0.1");
  for (const holder of ["server", "client"].map((role) => `${name}-${role}`)) {
    await openssl(...request(holder), "request");
    await openssl(
      ..."x509 -req -in request -CAcreateserial -extfile names".split(" "),
      ...[
        "-CA",
        `${name}.pem`,
        "-CAkey",
        `${name}.key`,
        "-out",
        `${holder}.pem`,
      ],
    );
  }
}

/** A server, and a log of three messages to ship to it. */
class Edge implements AsyncDisposable {
  readonly #parts = new AsyncDisposableStack();
  readonly dir: Directory;
  readonly #url: string;

  private constructor(dir: Directory, nats: Nats) {
    this.dir = this.#parts.use(dir);
    this.#parts.use(nats);
    this.#url = nats.urls[0]!;
  }

  static async start(
    dir: Directory,
    config: string,
    options: ConnectionOptions,
  ): Promise<Edge> {
    const nats = await Nats.start({ config });
    const edge = new Edge(dir, nats);
    const connection = edge.#parts.use(await nats.connect(options));
    const address = await makeStream(nats, connection, "edge");
    await using log = await Log.open(dir.file("log"));
    await appendSome(log, 3);
    const { identity } = log;
    edge.assertShipped = () => assertStored(connection, address, identity, 3);
    return edge;
  }

  /** Checks that the stream has the messages. */
  assertShipped!: () => Promise<void>;

  run(command: string, ...flags: string[]): Promise<Ran> {
    const [log, servers] = command === "ship"
      ? ["log", "--to"]
      : ["restored", "--from"];
    return basalt([
      ...[command, this.dir.file(log), servers, this.#url],
      ..."--stream edge --subject edge.7".split(" "),
      ...flags,
    ]);
  }

  /** Checks that a login can ship the log and pull it back. */
  async assertWorks(...flags: string[]): Promise<void> {
    const shipped = await this.run("ship", "--once", ...flags);
    assertEquals([shipped.code, shipped.errors], [0, ""]);
    await this.assertShipped();
    const pulled = await this.run("pull", ...flags);
    assertEquals([pulled.code, pulled.errors], [0, ""]);
    assertStringIncludes(pulled.out, "3 messages durable");
  }

  /** Checks that a login is refused at once, also by commands that would wait for a server. */
  async assertRefused(message: string, ...flags: string[]): Promise<void> {
    for (
      const args of [["ship", "--once"], ["ship"], ["pull", "--follow"]]
    ) {
      const { code, errors } = await this.run(...args as [string], ...flags);
      assertEquals(code, 1);
      assertStringIncludes(errors, message);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

Deno.test(
  "basalt ship and basalt pull use TLS, and refuse a server with a certificate of another authority",
  { ignore },
  async () => {
    const dir = new Directory();
    await makeCertificates(dir, "own");
    await makeCertificates(dir, "other");
    const file = (name: string) => dir.file(name);
    await using edge = await Edge.start(
      dir,
      `tls { cert_file: "${file("own-server.pem")}", key_file: "${
        file("own-server.key")
      }", ca_file: "${file("own.pem")}", verify: true }`,
      {
        tls: {
          caFile: file("own.pem"),
          certFile: file("own-client.pem"),
          keyFile: file("own-client.key"),
          ...{ checkServerIdentity: () => undefined },
        },
      },
    );
    const client = [
      ...["--tls-cert", file("own-client.pem")],
      ...["--tls-key", file("own-client.key")],
    ];
    await edge.assertWorks("--tls-ca", file("own.pem"), ...client);
    const unknown = "unable to verify the first certificate";
    await edge.assertRefused(unknown, ...client);
    await edge.assertRefused(unknown, "--tls-ca", file("other.pem"), ...client);
    await edge.assertRefused(file("gone"), "--tls-ca", file("gone"));
    const stranger = await edge.run(
      "ship",
      "--once",
      ...["--tls-ca", file("own.pem")],
      ...["--tls-cert", file("other-client.pem")],
      ...["--tls-key", file("other-client.key")],
    );
    assertEquals(stranger.code, 1);
    assertStringIncludes(stranger.errors, "Cannot connect to NATS at");
  },
);

Deno.test(
  "basalt ship refuses a certificate of another server of the same authority",
  {
    ignore,
  },
  async () => {
    const dir = new Directory();
    await makeCertificates(dir, "own");
    const file = (name: string) => dir.file(name);
    await using edge = await Edge.start(
      dir,
      // The authority's own certificate has no address.
      `tls { cert_file: "${file("own.pem")}", key_file: "${file("own.key")}" }`,
      {
        tls: {
          caFile: file("own.pem"),
          ...{ checkServerIdentity: () => undefined },
        },
      },
    );
    await edge.assertRefused(
      "does not match certificate",
      "--tls-ca",
      file("own.pem"),
    );
  },
);

/** Returns the signed claims of an operator, an account or a user, in the form that NATS takes. */
function signed(
  issuer: nkeys.KeyPair,
  subject: nkeys.KeyPair,
  nats: Record<string, unknown>,
): string {
  const encode = (bytes: Uint8Array) =>
    bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  const text = new TextEncoder();
  const content = [
    { typ: "JWT", alg: "ed25519-nkey" },
    {
      jti: crypto.randomUUID(),
      iat: Math.floor(Date.now() / 1000),
      iss: issuer.getPublicKey(),
      sub: subject.getPublicKey(),
      name: nats["type"],
      nats: { version: 2, ...nats },
    },
  ].map((part) => encode(text.encode(JSON.stringify(part)))).join(".");
  return `${content}.${encode(issuer.sign(text.encode(content)))}`;
}

/** Makes a file of credentials. */
function credentials(account: nkeys.KeyPair, user: nkeys.KeyPair): Uint8Array {
  const jwt = signed(account, user, {
    type: "user",
    subs: -1,
    data: -1,
    payload: -1,
  });
  const seed = new TextDecoder().decode(user.getSeed());
  return new TextEncoder().encode(
    `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n\n` +
      `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
  );
}

Deno.test(
  "basalt ship and basalt pull log in with a file of credentials, and not with those of another account",
  { ignore },
  async () => {
    const operator = nkeys.createOperator();
    const [system, own, other] = [1, 2, 3].map(() => nkeys.createAccount()) as [
      nkeys.KeyPair,
      nkeys.KeyPair,
      nkeys.KeyPair,
    ];
    const accountOf = (account: nkeys.KeyPair, storage: number) => {
      const counts =
        "subs data payload imports exports conn leaf streams consumer";
      const limits = Object.fromEntries(
        counts.split(" ").map((name) => [name, -1]),
      );
      const jwt = signed(operator, account, {
        type: "account",
        limits: { ...limits, wildcards: true, disk_storage: storage },
      });
      return `${account.getPublicKey()}: ${jwt}`;
    };
    const dir = new Directory();
    const right = credentials(own, nkeys.createUser());
    Deno.writeFileSync(dir.file("right"), right);
    Deno.writeFileSync(
      dir.file("wrong"),
      credentials(other, nkeys.createUser()),
    );
    Deno.writeTextFileSync(dir.file("damaged"), "no credentials");
    await using edge = await Edge.start(
      dir,
      `operator: ${signed(operator, operator, { type: "operator" })}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload { ${accountOf(system, 0)}, ${accountOf(own, -1)} }`,
      { authenticator: credsAuthenticator(right) },
    );
    await edge.assertWorks("--creds", dir.file("right"));
    const wrong = "Authorization Violation";
    await edge.assertRefused(wrong, "--creds", dir.file("wrong"));
    await edge.assertRefused(wrong);
    await edge.assertRefused("redentials", "--creds", dir.file("damaged"));
    await edge.assertRefused(dir.file("gone"), "--creds", dir.file("gone"));
  },
);

Deno.test(
  "basalt ship and basalt pull log in with a name and a file with the password",
  { ignore },
  async () => {
    const dir = new Directory();
    Deno.writeTextFileSync(dir.file("right"), "right\n");
    Deno.writeTextFileSync(dir.file("wrong"), "wrong\n");
    await using edge = await Edge.start(
      dir,
      "authorization { user: edge, password: right }",
      { user: "edge", pass: "right" },
    );
    const login = (password: string) => [
      ..."--user edge --password-file".split(" "),
      dir.file(password),
    ];
    await edge.assertWorks(...login("right"));
    await edge.assertRefused("Authorization Violation", ...login("wrong"));
    await edge.assertRefused("Authorization Violation");
    await edge.assertRefused(dir.file("gone"), ...login("gone"));
  },
);
