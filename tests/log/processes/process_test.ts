/** Several processes on one log, on a real disk: docs/format.md#lock, docs/format.md#lock-wait. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Log, type LogOptions, LogReader } from "../../../lib/log/mod.ts";
import { DiskStorage, LockedError } from "../../../lib/storage/mod.ts";
import { ALL } from "../../permissions.ts";
import { processPayload } from "./_payload.ts";
import { assertBytes } from "../recovery/_support.ts";
import { KIB, testPool } from "../_support.ts";

/** A writing process, and what it has printed. */
class Writer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = "";
  /** Messages below this offset are durable, as the process printed. */
  acknowledged = 0;
  closed = false;
  #over = false;

  constructor(
    dir: string,
    mode: "write" | "hold",
    direct = "prefer",
    segmentBytes = 300 * KIB,
  ) {
    const script = new URL("writer_child.ts", import.meta.url).pathname;
    const flags = ["--no-prompt", "--quiet", "--no-lock", "--no-check", "-A"];
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", ...flags, script, dir, mode, direct, String(segmentBytes)],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Reads its output up to a line that begins with `begin`, or to the end. Returns that line. */
  async until(begin: string): Promise<string | undefined> {
    for (;;) {
      let end;
      while ((end = this.#rest.indexOf("\n")) >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        if (line.startsWith("ack ")) this.acknowledged = Number(line.slice(4));
        if (line === "closed") this.closed = true;
        if (line.startsWith(begin)) return line;
      }
      const { value, done } = await this.#lines.read();
      if (done) return undefined;
      this.#rest += value;
    }
  }

  /** Asks it to close. */
  async close(): Promise<void> {
    await this.#child.stdin.close();
  }

  /** Kills it with SIGKILL, and reads what it printed before. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.until("nothing");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // The process has already ended.
    }
    await this.#lines.cancel();
    await this.#child.stdin.close().catch(() => {});
    await this.#child.status;
  }
}

/** Registers a test with a directory of its own. */
function processTest(name: string, test: (dir: string) => Promise<void>): void {
  Deno.test(name, { ignore: !ALL }, async () => {
    const dir = Deno.makeTempDirSync({ prefix: "basalt_process_" });
    try {
      await test(dir);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  });
}

/** Opens a log, passes it on, and closes it. */
async function withLog<T>(
  dir: string,
  options: LogOptions,
  use: (log: Log) => Promise<T> | T,
): Promise<T> {
  const pool = testPool();
  try {
    const log = await Log.open(dir, { pool, prepareBytes: 0, ...options });
    try {
      return await use(log);
    } finally {
      await log.close();
    }
  } finally {
    pool.close();
  }
}

/**
 * Reads from an offset to the end, and returns the end. Every message must be the one with its
 * offset.
 */
async function readFrom(
  source: Log | LogReader,
  from: number,
): Promise<number> {
  let offset = from;
  for await (using batch of source.read({ from })) {
    for (let i = 0; i < batch.count; i++, offset++) {
      assertEquals(batch.offset(i), offset);
      assertBytes(batch.payload(i), processPayload(offset), `offset ${offset}`);
    }
  }
  return offset;
}

processTest(
  "Log.open() in a second process is LockedError, which names the first, until the first closes",
  async (dir) => {
    await using first = new Writer(dir, "hold");
    await first.until("open");
    for (const lockTimeoutMs of [0, 250]) {
      const before = performance.now();
      const error = await assertRejects(
        () => Log.open(dir, { lockTimeoutMs }),
        LockedError,
      );
      const tookMs = performance.now() - before;
      // The default timeout is two seconds.
      assert(tookMs >= lockTimeoutMs && tookMs < 2000, `${tookMs} ms`);
      assertEquals([error.path, error.pid], [dir, first.pid]);
      assert(
        error.message.includes(String(first.pid)) &&
          error.message.includes(dir),
      );
      assert(Math.abs(Date.now() - error.since! / 1000) < 60_000);
    }
    const sync = assertThrows(() => Log.openSync(dir), LockedError);
    assertEquals(sync.pid, first.pid);
    // Reading needs no lock.
    assertEquals(await readFrom(new LogReader(dir), 0), 0);
    // A waiting call gets the lock when the first process closes.
    const waiting = withLog(
      dir,
      { lockTimeoutMs: 20_000 },
      (log) => log.appendDurable("a"),
    );
    await first.close();
    await first.until("closed");
    assertEquals(await waiting, 0);
  },
);

processTest(
  "Log.open() of an open log in the same process is LockedError, until it is closed",
  async (dir) => {
    await withLog(dir, {}, async () => {
      const error = await assertRejects(
        () => Log.open(dir, { lockTimeoutMs: 50 }),
        LockedError,
      );
      assertEquals([error.path, error.pid], [dir, Deno.pid]);
    });
    await withLog(dir, { lockTimeoutMs: 0 }, () => {});
  },
);

processTest(
  "Log.open() gets the lock of a killed owner within two seconds, and finds everything acknowledged",
  async (dir) => {
    let end = 0;
    for (let cycle = 0; cycle < 5; cycle++) {
      await using writer = new Writer(
        dir,
        "write",
        cycle % 2 === 0 ? "prefer" : "never",
      );
      assertEquals(await writer.until("open"), `open ${end}`);
      for (let acks = 1 + 6 * cycle; acks > 0; acks--) {
        await writer.until("ack");
      }
      await writer.kill();
      assert(writer.acknowledged > end);
      const before = performance.now();
      // The default timeout of two seconds must be enough.
      await withLog(dir, {}, async (log) => {
        const tookMs = performance.now() - before;
        assert(tookMs < 5000, `${tookMs} ms`);
        assertEquals(log.stats().opening.recovered.length, 1);
        assert(
          log.nextOffset >= writer.acknowledged,
          `${log.nextOffset} of ${writer.acknowledged}`,
        );
        assertEquals(await readFrom(log, 0), log.nextOffset);
        end = log.append(processPayload(log.nextOffset)) + 1;
      });
    }
    const names = [...Deno.readDirSync(dir)].map(({ name }) => name);
    assertEquals(
      names.filter((name) => !/^\d{20}\.(log|index|\d+\.\d+\.cut)$/.test(name)),
      ["meta"],
    );
    assert(names.length > 4, "it rolled");
  },
);

for (const direct of ["prefer", "never"] as const) {
  processTest(
    `LogReader.read() beside a writing process (${direct}) sees a growing prefix and never damage`,
    async (dir) => {
      const pool = testPool();
      await using writer = new Writer(dir, "write", direct);
      await writer.until("open");
      const reader = new LogReader(dir, {
        storage: new DiskStorage({ direct, pool }),
        pool,
      });
      let end = 0;
      let reads = 0;
      const until = performance.now() + 2000;
      while (performance.now() < until) {
        await writer.until("ack");
        const { acknowledged } = writer;
        // Sometimes everything, and mostly from the last end on.
        const from = reads % 10 === 0 ? 0 : end;
        const next = await readFrom(reader, from);
        assert(
          next >= acknowledged,
          `read to ${next}, acknowledged ${acknowledged}`,
        );
        assert(next >= end, `${next} after ${end}`);
        end = next;
        reads++;
      }
      assert(reads > 10, `${reads} reads`);
      // The log is whole, also while it closes and afterwards.
      await writer.close();
      while (!writer.closed) {
        const next = await readFrom(reader, end);
        assert(next >= end);
        end = next;
        if (await writer.until("") === undefined) break;
      }
      assert(writer.closed);
      end = await readFrom(reader, 0);
      assert(end >= writer.acknowledged);
      await withLog(dir, {}, (log) => assertEquals(log.nextOffset, end));
      pool.close();
    },
  );
}
