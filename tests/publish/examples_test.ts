/** The programs of docs/examples that docs/guide.md quotes. Each runs as a reader would run it. */
import { assert, assertEquals } from "@std/assert";
import { LogReader } from "@basalt/io";
import { Nats, SERVERS } from "../jetstream/_server.ts";
import { ALL } from "../permissions.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const EXAMPLES = `${ROOT}docs/examples/`;
const DECODER = new TextDecoder();

/** A program in a directory of its own, which is removed with it. */
class Program implements AsyncDisposable {
  readonly dir: string = Deno.makeTempDirSync({ prefix: "basalt_example_" });
  readonly #child: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;
  /** Its output so far. */
  text = "";

  constructor(name: string, ...args: string[]) {
    this.#child = new Deno.Command("sh", {
      args: [
        "-c",
        'exec "$0" "$@" 2>&1', // Deno prints on standard error where a server listens
        Deno.execPath(),
        "run",
        "--allow-all",
        `--config=${ROOT}deno.json`,
        `${EXAMPLES}${name}`,
        ...args,
      ],
      cwd: this.dir,
      env: { NO_COLOR: "1" },
      stdout: "piped",
    }).spawn();
    this.#reader = this.#child.stdout
      .pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Waits until it has printed text that matches a pattern. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.text);
      if (found !== null) return found;
      assert(await this.#read(), `It printed ${JSON.stringify(this.text)}`);
    }
  }

  /** Waits for its end. Returns all that it printed. */
  async ended(): Promise<string> {
    while (await this.#read());
    assertEquals((await this.#child.status).code, 0, this.text);
    return this.text;
  }

  /** Returns the address on which it listens. */
  async url(): Promise<string> {
    const [, url] = await this.printed(/Listening on (\S+?)\/?\s/);
    return url!;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async #read(): Promise<boolean> {
    const { value, done } = await this.#reader.read();
    this.text += value ?? "";
    return !done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await this.#child.status;
    await this.#reader.cancel();
    Deno.removeSync(this.dir, { recursive: true });
  }
}

/** Returns the code and the output of a program in the guide. */
function quoted(name: string): { code: string; output: string } {
  const guide = Deno.readTextFileSync(`${ROOT}docs/guide.md`);
  const [, after = ""] = guide.split(`(examples/${name})`);
  const [, code = ""] = /^```ts ignore\n([^]*?)^```$/m.exec(after) ?? [];
  const [, output = ""] =
    /^```ts ignore\n[^]*?^```\n\n```text\n([^]*?)^```$/m.exec(after) ?? [];
  return { code, output };
}

/** Reads this many events of a session. */
async function readEvents(
  url: string,
  count: number,
  headers: Record<string, string> = {},
): Promise<string[]> {
  const leave = new AbortController();
  const { body } = await fetch(url, { headers, signal: leave.signal });
  let text = "";
  try {
    for await (const part of body!.pipeThrough(new TextDecoderStream())) {
      text += part;
      const events = text.split("\n\n").slice(0, -1);
      if (events.length >= count) return events;
    }
    throw new Error(`The stream ended after ${JSON.stringify(text)}`);
  } finally {
    leave.abort();
  }
}

function test(name: string, fn: () => Promise<void>, ignore = false): void {
  Deno.test({ name, ignore: !ALL || ignore, fn });
}

test("docs/guide.md quotes the programs of docs/examples as they are", async () => {
  const names = [...Deno.readDirSync(EXAMPLES)].map(({ name }) => name);
  assert(names.length >= 6);
  for (const name of names) {
    const code = Deno.readTextFileSync(EXAMPLES + name);
    assertEquals(quoted(name).code, code, `${name} in docs/guide.md`);
    const lines = code.split("\n").length - 1;
    assert(lines >= 20 && lines <= 60, `${name} has ${lines} lines`);
  }
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", ...names.map((name) => EXAMPLES + name)],
    cwd: ROOT,
  }).output();
  assert(success, DECODER.decode(stderr));
});

for (const name of ["event_store.ts", "worker.ts"]) {
  test(`docs/examples/${name} prints what docs/guide.md says`, async () => {
    await using program = new Program(name);
    assertEquals(await program.ended(), quoted(name).output);
  });
}

test(
  "docs/examples/outbox.ts ships each order once",
  async () => {
    await using nats = await Nats.start();
    await (await nats.connect()).close(); // it accepts connections
    await using program = new Program("outbox.ts", nats.urls[0]!);
    assertEquals(await program.ended(), quoted("outbox.ts").output);
  },
  SERVERS.current === undefined,
);

test("docs/examples/sessions.ts continues after the last event that a client had", async () => {
  await using program = new Program("sessions.ts", "0");
  const url = `${await program.url()}/sessions/42`;
  const post = async (step: number): Promise<unknown> => {
    const body = JSON.stringify({ step });
    return await (await fetch(url, { method: "POST", body })).json();
  };
  assertEquals(await post(0), { offset: 0 });
  assertEquals(await post(1), { offset: 1 });
  assertEquals(await readEvents(url, 2), [
    'id: 0\ndata: {"step":0}',
    'id: 1\ndata: {"step":1}',
  ]);
  // One message exists already, the other one arrives while the client waits.
  const resumed = readEvents(url, 2, { "last-event-id": "0" });
  assertEquals(await post(2), { offset: 2 });
  assertEquals(await resumed, [
    'id: 1\ndata: {"step":1}',
    'id: 2\ndata: {"step":2}',
  ]);
  assertEquals(await readEvents(`${url}?from=2`, 1), [
    'id: 2\ndata: {"step":2}',
  ]);
  for (const path of ["?from=4", "?from=x", "?from=1.5", "/..", "/a/b"]) {
    const response = await fetch(url + path);
    assert(response.status >= 400 && response.status < 500, path);
    await response.body?.cancel();
  }
});

test("docs/examples/shutdown.ts loses nothing that it acknowledged before SIGTERM", async () => {
  await using program = new Program("shutdown.ts", "0");
  const url = await program.url();
  const acknowledged: string[] = [];
  const post = async (body: string): Promise<boolean> => {
    let response: Response;
    try {
      response = await fetch(url, { method: "POST", body });
    } catch {
      return false; // the server accepts no more requests
    }
    const { offset } = await response.json();
    acknowledged[offset] = body;
    if (offset === 100) program.kill("SIGTERM");
    return true;
  };
  const clients = Array.from({ length: 8 }, async (_, client) => {
    for (let i = 0; await post(`${client}: ${i}`); i++);
  });
  await Promise.all(clients);
  const printed = await program.ended();
  const texts: string[] = [];
  const reader = new LogReader(`${program.dir}/data/readings`);
  for await (const message of reader.messages()) texts.push(message.text());
  for (const [offset, text] of acknowledged.entries()) {
    if (text !== undefined) assertEquals(texts[offset], text);
  }
  assert(texts.length > 100);
  assert(printed.endsWith(`closing with ${texts.length} messages\n`), printed);
  assert(printed.includes(`reading ${texts[0]}\n`), printed);
});

test("docs/examples/orders_test.ts passes", async () => {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--quiet", "--allow-ffi", `${EXAMPLES}orders_test.ts`],
    cwd: ROOT,
  }).output();
  assert(success, DECODER.decode(stdout));
});
