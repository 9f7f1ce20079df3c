/** `basalt ship` and `basalt pull` with a real NATS server. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { Log } from "../../lib/log/mod.ts";
import { drain } from "../log/_support.ts";
import { Nats, SERVERS } from "../jetstream/_server.ts";
import {
  appendSome,
  assertStored,
  makeStream,
  until,
} from "../jetstream/_support.ts";
import { basalt, Directory } from "./_support.ts";

const ignore = SERVERS.current === undefined;

/** Makes a log with messages, and returns its identity. */
async function writeLog(dir: string, count: number): Promise<string> {
  await using log = await Log.open(dir);
  await appendSome(log, count);
  return log.identity;
}

/** Returns the options for the server and the stream. */
function options(
  flag: "--to" | "--from",
  nats: Nats,
  { stream, subject }: { stream: string; subject: string },
): string[] {
  return [flag, nats.urls[0]!, "--stream", stream, "--subject", subject];
}

Deno.test(
  "basalt ship --once stores a log in a stream, and basalt pull brings it back",
  { ignore },
  async () => {
    using dir = new Directory();
    await using nats = await Nats.start();
    await using connection = await nats.connect();
    const address = await makeStream(nats, connection, "edge");
    const log = dir.file("log");
    const identity = await writeLog(log, 1200);
    const ship = ["ship", log, ...options("--to", nats, address), "--once"];
    const shipped = await basalt(ship);
    assertEquals([shipped.code, shipped.errors], [0, ""]);
    assertStringIncludes(
      shipped.out,
      `1200 messages of '${log}' stored in stream 'edge'`,
    );
    await assertStored(connection, address, identity, 1200);
    const again = await basalt([...ship, "--json"]);
    const { shippedMessages, nextOffset, state } = JSON.parse(again.out);
    assertEquals([shippedMessages, nextOffset, state], [0, 1200, "ended"]);

    const restored = dir.file("restored");
    const pull = ["pull", restored, ...options("--from", nats, address)];
    const pulled = await basalt(pull);
    assertEquals([pulled.code, pulled.errors], [0, ""]);
    assertStringIncludes(pulled.out, `1200 messages durable in '${restored}'`);
    const report = JSON.parse((await basalt([...pull, "--json"])).out);
    assertEquals(report, { messages: 0, firstOffset: 1200, nextOffset: 1200 });
    const payloads = async (path: string) => {
      await using log = await Log.open(path);
      return (await drain(log)).map(({ payload }) => payload);
    };
    assertEquals(await payloads(restored), await payloads(log));
  },
);

Deno.test("basalt ship reports what is refused, and what it waits for", {
  ignore,
}, async () => {
  using dir = new Directory();
  await using nats = await Nats.start();
  const connection = await nats.connect();
  const address = await makeStream(nats, connection, "edge", {
    allow_atomic: false,
  });
  const log = dir.file("log");
  await writeLog(log, 3);
  const ship = (at = address) =>
    basalt(["ship", log, ...options("--to", nats, at), "--once"]);
  const slow = await ship();
  assertEquals(slow.code, 0);
  assertStringIncludes(slow.errors, "does not have 'allow_atomic'");
  const missing = await ship({ ...address, stream: "missing" });
  assertEquals(missing.code, 1);
  assertStringIncludes(missing.errors, "basalt: There is no stream 'missing'");
  const { code, errors } = await basalt(["ship", log, "--to", nats.urls[0]!]);
  assertEquals(code, 2);
  assertStringIncludes(errors, "--stream");
  await connection.close();
  await nats.stopNode(0);
  const away = await ship();
  assertEquals(away.code, 1);
  assertStringIncludes(away.errors, "connection refused");
});

Deno.test(
  "basalt ship follows a log that another process writes, until Ctrl-C",
  { ignore },
  async () => {
    using dir = new Directory();
    await using nats = await Nats.start();
    await using connection = await nats.connect();
    const address = await makeStream(nats, connection, "edge");
    const manager = await jetstreamManager(connection);
    const path = dir.file("log");
    await using log = await Log.open(path);
    await appendSome(log, 10);
    const ship = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--allow-ffi",
        `--allow-read=${dir.path}`,
        `--allow-write=${dir.path}`,
        "--allow-env=BASALT_LIBRARY",
        `--allow-net=${new URL(nats.urls[0]!).host}`,
        "lib/cli/mod.ts",
        "ship",
        path,
        ...options("--to", nats, address),
      ],
      cwd: new URL("../..", import.meta.url),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    try {
      for (let count = 10; count <= 30; count += 10) {
        await until(async () =>
          (await manager.streams.info("edge")).state.messages >= count
        );
        await appendSome(log, 10);
      }
      ship.kill("SIGINT");
      const { code, stderr } = await ship.output();
      assertEquals(code, 130);
      const text = new TextDecoder().decode(stderr);
      assertStringIncludes(text, "Interrupted: ");
      assertStringIncludes(text, "stored in stream 'edge'");
    } finally {
      try {
        ship.kill("SIGKILL");
      } catch {
        // The process has ended.
      }
    }
  },
);
