/** Thousands of calls that wait on a log. */
import { assertEquals } from "@std/assert";
import type { Log } from "@basalt/io";
import { at, KIB, openLog, payload, SimulatedPlace } from "../_support.ts";

/** A call that waits. */
export interface Waiting {
  readonly name: string;
  /** Whether it waits for room, so that each call needs a write of its own. */
  readonly forRoom?: true;
  /** Prepares the log for a number of calls. */
  before?(log: Log, count: number): void;
  call(log: Log, i: number, signal: AbortSignal): Promise<unknown>;
}

export const WAITING: readonly Waiting[] = [
  {
    name: "Log.appendDurable()",
    call: (log, _, signal) => log.appendDurable("x", { signal }),
  },
  {
    name: "Log.appendDurable() without room",
    forRoom: true,
    call: (log, _, signal) => log.appendDurable(payload(0, 3500), { signal }),
  },
  {
    name: "Log.ready()",
    forRoom: true,
    before: (log) => log.append(payload(0, 3500)),
    call: (log, _, signal) => log.ready({ signal }),
  },
  {
    name: "Log.whenDurable() of the same offset",
    before: (log) => log.append("x"),
    call: (log, _, signal) => log.whenDurable(0, { signal }),
  },
  {
    name: "Log.whenDurable() of descending offsets",
    before(log, count) {
      for (let i = 0; i < count; i++) log.append("x");
    },
    call: (log, i, signal) =>
      log.whenDurable(log.nextOffset - 1 - i, { signal }),
  },
];

/** Makes many calls that wait. All of them complete, or one signal aborts all of them. */
export async function waitMany(
  { before, call, forRoom }: Waiting,
  count: number,
  aborts: boolean,
): Promise<void> {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, forRoom ? { bufferBytes: 4 * KIB } : {});
    before?.(log, count);
    const controller = new AbortController();
    const { signal } = controller;
    let aborted = 0;
    const all = Array.from(
      { length: count },
      (_, i) =>
        call(log, i, signal).catch((reason) => {
          if (reason !== signal.reason) throw reason;
          aborted++;
        }),
    );
    if (aborts) controller.abort();
    await Promise.all(all);
    assertEquals(aborted, aborts ? count : 0);
    assertEquals(log.stats().waiting, 0);
    await log.close();
  });
}
