/**
 * Sends requests at a rate without waiting for earlier responses, and prints the latencies from the
 * time when each was due. Arguments: `URL RATE MS`.
 */
import { Latencies, type Measured } from "../measure.ts";

const [url, rate, ms] = Deno.args;
const interval = 1e3 / Number(rate);
const count = Math.max(1, Math.floor(Number(ms) / interval));

async function ask(): Promise<void> {
  const response = await fetch(url!);
  await response.text();
}

// Connections are made and code is compiled before the first counted request.
for (let i = 0; i < 50; i++) await ask();

const latencies = new Latencies();
const start = performance.now();
const answers: Promise<void>[] = [];
for (let i = 0; i < count; i++) {
  const due = start + i * interval;
  const early = due - performance.now();
  if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
  answers.push(ask().then(() => latencies.record(performance.now() - due)));
}
await Promise.all(answers);
const result: Measured = {
  seconds: (performance.now() - start) / 1e3,
  operations: count,
  bytes: 0,
  percentiles: latencies.percentiles(),
};
console.log(JSON.stringify(result));
