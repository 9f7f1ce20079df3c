/** Workers that share a pool and do I/O with it. One of them is terminated in the middle. */
import { assert, assertEquals } from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";
import { ALL } from "../permissions.ts";
import { TemporaryDirectory } from "./_tiers.ts";
import type { WorkerOrder } from "./worker_child.ts";

/** A worker, and what it has reported. */
class Writer implements Disposable {
  readonly #worker = new Worker(new URL("worker_child.ts", import.meta.url), {
    type: "module",
  });
  readonly underWay: Promise<void>;
  readonly done: Promise<void>;

  constructor(order: WorkerOrder) {
    const said = {
      "under way": Promise.withResolvers<void>(),
      done: Promise.withResolvers<void>(),
    };
    this.underWay = said["under way"].promise;
    this.done = said.done.promise;
    this.#worker.onmessage = ({ data }: MessageEvent<keyof typeof said>) =>
      said[data].resolve();
    this.#worker.onerror = (event) => {
      event.preventDefault();
      said.done.reject(new Error(event.message));
    };
    this.#worker.postMessage(order);
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

Deno.test(
  "DirectFile in four workers on one pool, one of them terminated: the others read what they wrote, and its blocks return after their last completion",
  {
    ignore: !ALL,
  },
  async () => {
    for (let round = 0; round < 5; round++) {
      using dir = new TemporaryDirectory();
      using pool = new BufferPool({ limitBytes: 8 * 1024 * 1024 });
      {
        const order = (i: number, rounds: number): WorkerOrder => ({
          poolId: pool.id,
          path: dir.file(`${i}`),
          rounds,
          value: i * 64,
        });
        using first = new Writer(order(0, 60));
        using second = new Writer(order(1, 60));
        using third = new Writer(order(2, 60));
        {
          using ended = new Writer(order(3, Infinity));
          await ended.underWay;
        }
        await Promise.all([first.done, second.done, third.done]);
      }
      const deadline = Date.now() + 10_000;
      while (pool.stats().inUseBytes > 0 || pool.stats().attachments > 1) {
        assert(Date.now() < deadline, JSON.stringify(pool.stats()));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const { acquired, returned, orphanedBlocks, quarantinedBytes } = pool
        .stats();
      assertEquals([acquired - returned, orphanedBlocks, quarantinedBytes], [
        0,
        0,
        0,
      ]);
      assert(acquired > 3 * 8 * 60);
    }
  },
);
