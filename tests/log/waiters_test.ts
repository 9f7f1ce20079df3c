/** Many calls that wait: what is done for each of them costs the same, however many there are. */
import { assert, assertEquals } from "@std/assert";
import type { Log } from "@basalt/io";
import { at, KIB, openLog, payload, SimulatedPlace } from "./support.ts";

const WAITERS = 100_000;

interface Case {
  /** What the log is opened with. */
  bufferBytes?: number;
  /** Prepares the log. */
  before?(log: Log): void;
  wait(log: Log, i: number, signal: AbortSignal): Promise<unknown>;
}

const CASES: Record<string, Case> = {
  "Log.appendDurable()": {
    wait: (log, _, signal) => log.appendDurable("x", { signal }),
  },
  "Log.appendDurable() without room": {
    bufferBytes: 4 * KIB,
    wait: (log, _, signal) => log.appendDurable(payload(0, 3500), { signal }),
  },
  "Log.ready()": {
    bufferBytes: 4 * KIB,
    before: (log) => log.append(payload(0, 3500)),
    wait: (log, _, signal) => log.ready({ signal }),
  },
  "Log.whenDurable() of the same offset": {
    before: (log) => log.append("x"),
    wait: (log, _, signal) => log.whenDurable(0, { signal }),
  },
  "Log.whenDurable() of descending offsets": {
    before(log) {
      for (let i = 0; i < WAITERS; i++) log.append("x");
    },
    wait: (log, i, signal) => log.whenDurable(WAITERS - 1 - i, { signal }),
  },
};

for (const [name, { bufferBytes, before, wait }] of Object.entries(CASES)) {
  for (const end of ["is aborted by one signal", "is served"]) {
    // Each that waits for room has a block of its own written.
    if (bufferBytes !== undefined && end === "is served") continue;
    Deno.test(`${name}: each of ${WAITERS} calls ${end} in the same time`, async () => {
      await at(new SimulatedPlace(), async (place) => {
        const log = await openLog(
          place,
          bufferBytes === undefined ? {} : { bufferBytes },
        );
        before?.(log);
        const controller = new AbortController();
        const { signal } = controller;
        const began = performance.now();
        let aborted = 0;
        const all = Array.from(
          { length: WAITERS },
          (_, i) =>
            wait(log, i, signal).catch((reason) => {
              if (reason !== signal.reason) throw reason;
              aborted++;
            }),
        );
        if (end !== "is served") controller.abort();
        await Promise.all(all);
        const tookMs = performance.now() - began;
        assertEquals(aborted, end === "is served" ? 0 : WAITERS);
        // A step for each pair of them takes minutes.
        assert(tookMs < 20_000, `${tookMs} ms`);
        assertEquals(log.stats().waiting, 0);
        await log.close();
      });
    });
  }
}
