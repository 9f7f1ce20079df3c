/** Writes an instrumented log until standard input ends. */
import { metrics } from "@opentelemetry/api";
import { BufferPool, Log } from "@basalt/io";
import { instrument } from "@basalt/io/otel";

const [dir] = Deno.args;
const log = await Log.open(dir!);
{
  using _instruments = instrument({
    meter: metrics.getMeter("basalt-test"),
    log,
    pool: BufferPool.default(),
  });
  await using cursor = await log.cursor("billing");
  for (let i = 0; i < 10; i++) await log.appendDurable("hello");
  await cursor.commit(3);
  await Deno.stdin.read(new Uint8Array(1));
}
await log.close();
