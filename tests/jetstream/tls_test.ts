/** TLS to a server with an IP address, as docs/beyond.md describes it. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { Nats, SERVERS } from "./_server.ts";

/** Makes a certificate of an address, which is its own authority. */
async function makeCertificate(dir: string, address: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", {
    args: [
      ..."req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256".split(
        " ",
      ),
      ...["-keyout", "key.pem", "-out", "ca.pem", "-subj", "/CN=server"],
      ...["-addext", `subjectAltName=IP:${address}`],
    ],
    cwd: dir,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** Returns options of TLS that accept the certificate of one address. */
function tlsOf(caFile: string, host: string) {
  return {
    caFile,
    checkServerIdentity: (_: string, certificate: PeerCertificate) =>
      checkServerIdentity(host, certificate),
  };
}

Deno.test(
  "connect() of the NATS client takes a certificate of an IP address with a check of one's own",
  { ignore: SERVERS.current === undefined },
  async () => {
    const dir = Deno.makeTempDirSync({ prefix: "basalt_tls_" });
    try {
      await makeCertificate(dir, "127.0.0.1");
      const caFile = `${dir}/ca.pem`;
      await using nats = await Nats.start({
        config: `tls { cert_file: "${caFile}", key_file: "${dir}/key.pem" }`,
      });
      const servers = nats.urls;
      const good = tlsOf(caFile, "127.0.0.1");
      await using connection = await nats.connect({ tls: good });
      assertEquals(connection.isClosed(), false);
      const refused = async (tls: object): Promise<string> =>
        (await assertRejects(() => connect({ servers, tls }), Error)).message;
      assertStringIncludes(await refused({ caFile }), "Host: localhost");
      const other = await refused(tlsOf(caFile, "127.0.0.2"));
      assertStringIncludes(other, "IP: 127.0.0.2 is not in the cert's list");
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);
