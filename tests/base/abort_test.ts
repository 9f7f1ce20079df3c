import { assert, assertEquals } from "@std/assert";
import { onAbort } from "../../lib/base/mod.ts";

/** The signal of a controller, with a count of its listeners. */
class Counted {
  readonly controller = new AbortController();
  readonly signal = this.controller.signal;
  listeners = 0;

  constructor() {
    const { signal } = this;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      this.listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      this.listeners--;
      remove(...args);
    };
  }
}

Deno.test("onAbort() calls each callback once, in order, unless it was ended", () => {
  const { controller, signal } = new Counted();
  const called: number[] = [];
  const ends = [0, 1, 2, 3].map((n) => onAbort(signal, () => called.push(n)));
  ends[1]!();
  ends[1]!();
  controller.abort();
  controller.abort();
  for (const end of ends) end();
  assertEquals(called, [0, 2, 3]);
});

Deno.test("onAbort() skips callbacks that an earlier one ended, and calls the others", () => {
  const { controller, signal } = new Counted();
  const called: number[] = [];
  onAbort(signal, () => {
    called.push(0);
    ends[1]!();
  });
  const ends = [1, 2, 3].map((n) => onAbort(signal, () => called.push(n)));
  controller.abort();
  assertEquals(called, [0, 1, 3]);
});

Deno.test("onAbort() has one listener on a signal while there is a callback, and none afterwards", () => {
  const counted = new Counted();
  const { signal } = counted;
  assertEquals(counted.listeners, 0);
  for (let round = 0; round < 2; round++) {
    const ends = [1, 2, 3].map(() => onAbort(signal, () => {}));
    assertEquals(counted.listeners, 1);
    for (const end of ends) end();
    assertEquals(counted.listeners, 0);
  }
  const other = new Counted();
  onAbort(other.signal, () => {});
  assertEquals([counted.listeners, other.listeners], [0, 1]);
});

Deno.test("onAbort() of 100,000 callbacks is not quadratic", () => {
  const controller = new AbortController();
  const { signal } = controller;
  let called = 0;
  const began = performance.now();
  const ends = Array.from(
    { length: 100_000 },
    () => onAbort(signal, () => called++),
  );
  for (const end of ends.slice(0, 50_000)) end();
  controller.abort();
  const tookMs = performance.now() - began;
  assertEquals(called, 50_000);
  // Quadratic work would take minutes.
  assert(tookMs < 10_000, `${tookMs} ms`);
});
