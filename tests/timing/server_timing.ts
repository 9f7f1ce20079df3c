/** A lone appender whose writes are made in place must not starve a server in the same isolate. */
import { assert } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";

const REQUESTS = 300;
/**
 * How much the appender may add to the server's 99th percentile, in milliseconds. It is far more
 * than a quiet machine shows.
 */
const MAX_ADDED_MS = 60;

/**
 * Returns the 99th percentile of the response times that another process measured, in milliseconds.
 */
async function p99Of(url: string): Promise<number> {
  const child = new URL("server_client_child.ts", import.meta.url).pathname;
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-net", child, url, `${REQUESTS}`],
    stderr: "inherit",
  }).output();
  assert(success);
  const times: number[] = JSON.parse(new TextDecoder().decode(stdout));
  return times.sort((a, b) => a - b)[Math.floor(0.99 * REQUESTS)]!;
}

Deno.test("Log.appendDurable() of a lone appender lets a server in its isolate respond", async () => {
  const dir = Deno.makeTempDirSync({ prefix: "basalt_server_" });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("hello"),
  );
  try {
    const url = `http://127.0.0.1:${server.addr.port}/`;
    const alone = await p99Of(url);
    await using log = await Log.open(dir);
    const payload = new Uint8Array(256);
    let isOver = false;
    const appending = (async () => {
      while (!isOver) await log.appendDurable(payload);
    })();
    const beside = await p99Of(url);
    isOver = true;
    await appending;
    assert(
      beside <= alone + MAX_ADDED_MS,
      `p99 ${beside.toFixed(1)} ms beside an appender, ${
        alone.toFixed(1)
      } alone`,
    );
  } finally {
    await server.shutdown();
    Deno.removeSync(dir, { recursive: true });
  }
});
