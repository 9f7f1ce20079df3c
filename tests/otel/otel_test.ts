/** The metrics that a collector of OpenTelemetry and a parser of Prometheus receive. */
import { assert, assertEquals } from "@std/assert";
// @deno-types="./prometheus_parser.d.ts"
import parsePrometheus from "parse-prometheus-text-format";
import { directoryMetrics, Log, metricsText } from "@basalt/io";
import { ALL } from "../permissions.ts";

interface Point {
  attributes?: { key: string; value: { stringValue: string } }[];
  asInt?: string | number;
  asDouble?: number;
  count?: string | number;
  sum?: number;
}

interface Metric {
  name: string;
  unit: string;
  gauge?: { dataPoints: Point[] };
  sum?: { dataPoints: Point[] };
  histogram?: { dataPoints: Point[] };
}

/** A collector that takes OTLP JSON on loopback, and keeps the last metric of each name. */
function collector(): {
  metrics: Map<string, Metric>;
  server: Deno.HttpServer<Deno.NetAddr>;
} {
  const metrics = new Map<string, Metric>();
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
  }, async (request) => {
    const { pathname } = new URL(request.url);
    const body = await request.json();
    if (pathname === "/v1/metrics") {
      for (const { scopeMetrics } of body.resourceMetrics) {
        for (const { metrics: found } of scopeMetrics) {
          for (const metric of found as Metric[]) {
            metrics.set(metric.name, metric);
          }
        }
      }
    }
    return Response.json({});
  });
  return { metrics, server };
}

function value(metric: Metric | undefined): number {
  const [point] = (metric?.gauge ?? metric?.sum)?.dataPoints ?? [];
  return Number(point?.asInt ?? point?.asDouble);
}

Deno.test({
  name:
    "instrument() reports the figures of a log, its cursors and its pool to a collector",
  ignore: !ALL,
  async fn() {
    const { metrics, server } = collector();
    const dir = Deno.makeTempDirSync();
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        new URL("instrumented_child.ts", import.meta.url).pathname,
        dir,
      ],
      env: {
        OTEL_DENO: "true",
        OTEL_DENO_CONSOLE: "ignore",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${server.addr.port}`,
        OTEL_METRIC_EXPORT_INTERVAL: "100",
      },
      stdin: "piped",
    }).spawn();
    try {
      for (let tries = 0; tries < 200; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        // While the program still appends, an export may show a lag of 7 of 7 messages.
        const isComplete = value(metrics.get("basalt.cursor.lag")) === 7 &&
          value(metrics.get("basalt.log.messages")) === 10;
        if (isComplete) break;
      }
      const get = (name: string) => metrics.get(name);
      assertEquals(value(get("basalt.cursor.lag")), 7);
      assertEquals(value(get("basalt.log.messages")), 10);
      assertEquals(value(get("basalt.log.pending")), 0);
      assert(value(get("basalt.pool.used")) > 0);
      assertEquals(get("basalt.cursor.lag")?.unit, "{message}");
      assertEquals(get("basalt.log.pending")?.unit, "By");
      const flushes = get("basalt.log.flush.duration");
      assertEquals(flushes?.unit, "s");
      const [point] = flushes!.histogram!.dataPoints;
      assertEquals(Number(point!.count), 10);
      assert(point!.sum! > 0 && point!.sum! < 60, `${point!.sum} s`);
      const labels = get("basalt.cursor.lag")!.gauge!.dataPoints[0]!.attributes!
        .map(({ key, value }) => [key, value.stringValue]).sort();
      assertEquals(labels, [
        ["basalt.cursor.name", "billing"],
        ["basalt.log.path", dir],
      ]);
    } finally {
      await child.stdin.close().catch(() => {});
      await child.status;
      await server.shutdown();
      Deno.removeSync(dir, { recursive: true });
    }
  },
});

Deno.test({
  name:
    "metricsText() and directoryMetrics() return text that Prometheus reads",
  ignore: !ALL,
  async fn() {
    const parent = Deno.makeTempDirSync();
    const dir = `${parent}/a "quoted\\" directory`;
    try {
      await using log = await Log.open(dir);
      await using cursor = await log.cursor("billing");
      for (let i = 0; i < 5; i++) await log.appendDurable("hello");
      await cursor.commit(2);
      for (const text of [metricsText(log), await directoryMetrics(dir)]) {
        const families = parsePrometheus(text);
        const byName = new Map(families.map((each) => [each.name, each]));
        const names = text.match(/^# TYPE (\S+)/gm)!.map((line) =>
          line.slice(7)
        );
        assertEquals([...byName.keys()].sort(), names.sort());
        const of = (name: string) => byName.get(name)!.metrics[0]!;
        assertEquals(of("basalt_log_next_offset").value, "5");
        assertEquals(of("basalt_cursor_position").value, "2");
        assertEquals(of("basalt_cursor_position").labels?.cursor, "billing");
        for (const { name, type, help } of families) {
          assert(help.length > 0, name);
          assertEquals(type === "COUNTER", name.endsWith("_total"), name);
        }
      }
      const flushes = parsePrometheus(metricsText(log))
        .find(({ name }) => name === "basalt_log_flush_duration_seconds")!;
      assertEquals(flushes.type, "SUMMARY");
      assertEquals(Object.keys(flushes.metrics[0]!.quantiles!), [
        "0.5",
        "0.9",
        "0.99",
        "0.999",
      ]);
    } finally {
      Deno.removeSync(parent, { recursive: true });
    }
  },
});
