/** Does the program keep its promises if the power fails at any moment? */
import { BufferPool, Log } from "@basalt/io";
import type { Storage } from "@basalt/io/storage";
import { SimulatedDisk } from "@basalt/io/testing";
import { assert } from "@std/assert";

/** The program under test: takes orders, and notes each one that it has promised. */
async function takeOrders(
  storage: Storage,
  pool: BufferPool,
  promised: number[],
): Promise<void> {
  await using log = await Log.open("/orders", { storage, pool });
  for (let i = 0; i < 20; i++) {
    promised.push(await log.appendDurable(`order ${i}`));
  }
}

Deno.test("takeOrders keeps each promised order through a power cut", async () => {
  for (let seed = 1; seed <= 50; seed++) {
    using pool = new BufferPool();
    // The same seed loses the same writes.
    const disk = new SimulatedDisk({ seed });
    const promised: number[] = [];
    const running = takeOrders(disk, pool, promised);
    while (promised.length < seed % 20) {
      await new Promise((resolve) => setTimeout(resolve));
    }
    const kept = promised.length;
    const after = disk.crash("random"); // any part of what was not synced survives
    await running.catch(() => {}); // the disk is gone

    await using log = await Log.open("/orders", { storage: after, pool });
    assert(log.nextOffset >= kept, `seed ${seed}: ${log.nextOffset} < ${kept}`);
  }
});
