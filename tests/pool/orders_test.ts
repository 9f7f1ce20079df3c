/**
 * Every order of up to five calls on buffers: no owner ever sees another owner's bytes, and all
 * memory returns or is known to be lost.
 */
import { assert, assertEquals } from "@std/assert";
import {
  BufferPool,
  FrozenBuffer,
  type Loan,
  PooledBuffer,
  PoolLimitError,
} from "../../lib/pool/mod.ts";

const BLOCK = 4096;
const LENGTH = 100;

/** A buffer, a view of it that was kept, and the byte that fills it, if known. */
interface Handle {
  readonly buffer: PooledBuffer | FrozenBuffer;
  view: Uint8Array<ArrayBuffer> | null;
  pattern: number | null;
  loan: Loan | null;
  held: boolean;
}

/** A pool of two blocks, and everything made of it. */
class World {
  readonly pool = new BufferPool({
    limitBytes: 2 * BLOCK,
    bucketCapacity: 2,
    onWarning() {},
  });
  readonly handles: Handle[] = [];
  /** Views that were transferred away, each with the byte that must stay in it. */
  readonly stolen: { bytes: Uint8Array; pattern: number | null }[] = [];
  readonly settle: (() => void)[] = [];
  readonly aborts: AbortController[] = [];
  pending: Promise<unknown>[] = [];
  closed = false;
  #patterns = 0;

  add(buffer: PooledBuffer | FrozenBuffer, pattern: number | null): void {
    const rest = { view: null, loan: null, held: false };
    this.handles.push({ buffer, pattern, ...rest });
  }

  next(): number {
    return 1 + this.#patterns++ % 255;
  }

  /** Checks that each view holds what its owner wrote, or is empty. */
  check(): void {
    for (const { buffer, view, pattern, loan, held } of this.handles) {
      if (view === null) continue;
      const theirs = loan !== null && buffer instanceof PooledBuffer ||
        !held && buffer instanceof PooledBuffer && buffer.state !== "leased";
      if (theirs) assertEquals(view.length, 0, "a view outlived its lease");
      if (pattern !== null) assertFilled(view, pattern);
    }
    for (const { bytes, pattern } of this.stolen) {
      if (pattern !== null) assertFilled(bytes, pattern);
    }
  }

  /** Ends everything, and checks that all memory is free or quarantined. */
  async end(): Promise<void> {
    for (const abort of this.aborts) abort.abort();
    for (const { loan } of this.handles) loan?.end();
    for (const settle of this.settle) settle();
    await Promise.all(this.pending);
    for (const { buffer } of this.handles) buffer.drop();
    this.check();
    for (const { view } of this.handles) assertEquals(view?.length ?? 0, 0);
    if (!this.closed) {
      const { inUseBytes, quarantinedBytes, frozen } = this.pool.stats();
      assertEquals([inUseBytes, frozen], [0, 0]);
      assert(quarantinedBytes <= this.stolen.length * BLOCK);
      assert(this.stolen.length === 0 || quarantinedBytes > 0);
      this.pool.close();
    }
  }
}

function assertFilled(bytes: Uint8Array, pattern: number): void {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== pattern) {
      throw new Error(`${bytes[i]} instead of ${pattern}`);
    }
  }
}

type Action = (world: World, newest: Handle | undefined) => void;

/** The calls. Each is made on the newest buffer, in whatever state it is. */
const ACTIONS: Record<string, Action> = {
  acquire(world) {
    world.add(world.pool.acquireSync(LENGTH), null);
  },
  touch(world, newest) {
    if (newest === undefined) return;
    newest.view = newest.buffer.bytes;
    if (newest.buffer instanceof PooledBuffer) {
      newest.view.fill(newest.pattern = world.next());
    } else if (newest.pattern !== null) {
      assertFilled(newest.view, newest.pattern);
    }
  },
  lend(world, newest) {
    if (newest === undefined) return;
    if (newest.loan === null) {
      newest.loan = world.pool.lend(newest.buffer);
      if (newest.buffer instanceof PooledBuffer) {
        newest.loan.bytes.fill(newest.pattern = world.next());
      }
    } else {
      newest.loan.end();
      newest.loan = null;
    }
  },
  drop(_, newest) {
    newest?.buffer.drop();
  },
  freeze(world, newest) {
    if (!(newest?.buffer instanceof PooledBuffer)) return;
    world.add(newest.buffer.freeze(), newest.pattern);
  },
  split(world, newest) {
    if (!(newest?.buffer instanceof PooledBuffer)) return;
    world.add(newest.buffer.splitTo(newest.buffer.length >> 1), newest.pattern);
  },
  slice(world, newest) {
    if (!(newest?.buffer instanceof FrozenBuffer)) return;
    world.add(newest.buffer.slice(1), newest.pattern);
  },
  transfer(world, newest) {
    const view = newest?.view;
    if (!view || view.length === 0) return;
    const { byteOffset, length } = view;
    const bytes = new Uint8Array(view.buffer.transfer(), byteOffset, length);
    world.stolen.push({ bytes, pattern: newest!.pattern });
  },
  hold(world, newest) {
    if (newest === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const kept = newest.buffer.hold(promise);
    newest.held = true;
    world.settle.push(() => {
      newest.held = false;
      resolve();
    });
    world.pending.push(kept);
  },
  wait(world) {
    const abort = new AbortController();
    const { signal } = abort;
    const waiting = world.pool.acquire(LENGTH, { signal }).then(
      (buffer) => world.add(buffer, null),
      (error) => {
        const known = error instanceof TypeError ||
          (error as DOMException).name === "AbortError";
        if (!known) throw error;
      },
    );
    world.aborts.push(abort);
    world.pending.push(waiting);
  },
  abort(world) {
    world.aborts.at(-1)?.abort();
  },
  close(world) {
    world.pool.close();
    world.closed = true;
  },
};

const NAMES = Object.keys(ACTIONS);
/** The calls that need no buffer. */
const BEGINNINGS = ["acquire", "wait", "close"];

/** Makes calls one after the other. Each must succeed or throw a clear error. */
async function run(names: readonly string[]): Promise<void> {
  const world = new World();
  for (const name of names) {
    try {
      ACTIONS[name]!(world, world.handles.at(-1));
    } catch (error) {
      const clear = error instanceof TypeError ||
        error instanceof PoolLimitError;
      if (!clear) throw error;
    }
    // Requests that wait for memory are served in a later turn.
    if (world.pending.length > 0) await Promise.resolve();
    world.check();
  }
  await world.end();
}

Deno.test("BufferPool: every order of up to five calls keeps owners apart and returns all memory", async () => {
  let orders = 0;
  const visit = async (names: string[]): Promise<void> => {
    if (names.length > 0) {
      try {
        await run(names);
      } catch (error) {
        throw new Error(names.join(", "), { cause: error });
      }
      orders++;
    }
    if (names.length === 5) return;
    for (const name of names.length === 0 ? BEGINNINGS : NAMES) {
      await visit([...names, name]);
    }
  };
  await visit([]);
  assertEquals(orders, 3 * (1 + 12 + 12 ** 2 + 12 ** 3 + 12 ** 4));
});
