import { assert, assertEquals } from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";
import { ALL, FILES } from "../permissions.ts";
import type { Order } from "./pool_worker.ts";

/** A worker, and the orders that it has executed. */
class Helper implements Disposable {
  readonly #worker = new Worker(new URL("./pool_worker.ts", import.meta.url), {
    type: "module",
  });

  /** Resolves when the order is executed. */
  tell(order: Order): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = () => resolve();
      this.#worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      this.#worker.postMessage(order);
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!holds()) {
    assert(Date.now() < deadline, "It did not happen within 10 s");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

Deno.test({
  name:
    "BufferPool.attach() in a worker: one pool, one limit, and memory that moves between threads",
  ignore: !FILES,
  async fn() {
    using pool = new BufferPool({ limitBytes: 16384, onWarning() {} });
    using helper = new Helper();
    await helper.tell({ do: "attach", id: pool.id });
    await helper.tell({ do: "acquire", lengths: [4096, 8192] });
    assertEquals([pool.stats().inUseBytes, pool.stats().attachments], [
      12288,
      2,
    ]);
    // A request here gets a block that returns there.
    const mine = await pool.acquire(4096);
    const waiting = pool.acquire(8192);
    await helper.tell({ do: "drop", count: 2 });
    const served = await waiting;
    mine.drop();
    served.drop();
    // And the other way round.
    const all = pool.acquireSync(16384);
    const theirs = helper.tell({ do: "wait", length: 16384 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    all.drop();
    await theirs;
    assertEquals([pool.stats().inUseBytes, pool.stats().waits], [16384, 2]);
    await helper.tell({ do: "drop", count: 1 });
    await helper.tell({ do: "close" });
    assertEquals([pool.stats().inUseBytes, pool.stats().attachments], [0, 1]);
  },
});

Deno.test({
  name: "BufferPool gets the blocks of a terminated worker back",
  ignore: !FILES,
  async fn() {
    using pool = new BufferPool({ limitBytes: 2 ** 20 });
    const mine = pool.acquireSync(4096);
    mine.bytes.fill(1);
    {
      using helper = new Helper();
      await helper.tell({ do: "attach", id: pool.id });
      await helper.tell({ do: "acquire", lengths: [1, 5000, 70_000, 300_000] });
      await helper.tell({ do: "touch", value: 2 });
      await helper.tell({ do: "lend" });
      assertEquals(pool.stats().inUseBytes > 300_000, true);
    }
    await until(() => pool.stats().inUseBytes === 4096);
    const { acquired, returned, attachments, orphanedBlocks } = pool.stats();
    assertEquals([acquired - returned, attachments, orphanedBlocks], [1, 1, 0]);
    assertEquals(mine.bytes.every((byte) => byte === 1), true);
    mine.drop();
    pool.acquireSync(2 ** 20).drop();
  },
});

Deno.test({
  name:
    "BufferPool with four workers, one of them terminated: the others are unharmed, and the limit holds",
  ignore: !FILES,
  async fn() {
    using pool = new BufferPool({ limitBytes: 512 * 1024 });
    {
      using one = new Helper();
      using two = new Helper();
      using three = new Helper();
      const sound = [one, two, three];
      for (const helper of sound) {
        await helper.tell({ do: "attach", id: pool.id });
      }
      const work = sound.map((helper, i) =>
        helper.tell({ do: "churn", rounds: 20_000, value: i * 85 })
      );
      {
        using ended = new Helper();
        await ended.tell({ do: "attach", id: pool.id });
        await ended.tell({ do: "churnForEver", value: 170 });
      }
      await Promise.all(work);
    }
    await until(() => pool.stats().attachments === 1);
    const stats = pool.stats();
    assertEquals([stats.inUseBytes, stats.acquired - stats.returned], [0, 0]);
    assert(stats.acquired > 60_000);
    assert(stats.peakMappedBytes <= 512 * 1024, `${stats.peakMappedBytes}`);
  },
});

Deno.test({
  name:
    "BufferPool quarantines the block of a view that was posted to a worker, whose memory is its own",
  ignore: !FILES,
  async fn() {
    using pool = new BufferPool();
    const worker = new Worker(
      `data:application/javascript,${
        encodeURIComponent(`
          let view;
          self.onmessage = ({ data }) => {
            if (data) (view = data).fill(1), self.postMessage(0);
            else self.postMessage(view.every((byte) => byte === 1));
          };`)
      }`,
      { type: "module" },
    );
    const answer = (message: unknown, transfer: Transferable[]) =>
      new Promise((resolve) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.postMessage(message, transfer);
      });
    const buffer = pool.acquireSync(4096);
    const view = buffer.bytes;
    await answer(view, [view.buffer]);
    buffer.drop();
    assertEquals(pool.stats().quarantinedBytes, 4096);
    const others = Array.from({ length: 8 }, () => pool.acquireSync(4096));
    for (const other of others) other.bytes.fill(2);
    assertEquals(await answer(null, []), true);
    worker.terminate();
    for (const other of others) other.drop();
  },
});

Deno.test({
  name: "BufferPool survives the worker that loaded the library first",
  ignore: !ALL,
  async fn() {
    const program = new URL("./first_loader_child.ts", import.meta.url);
    const { success, stdout, stderr } = await new Deno.Command(
      Deno.execPath(),
      { args: ["run", "--allow-all", program.pathname] },
    ).output();
    const decoder = new TextDecoder();
    assertEquals([decoder.decode(stderr), success], ["", true]);
    assertEquals(decoder.decode(stdout).trim(), "alive 7");
  },
});
