/** W2: 64 appenders in one program, each awaiting the durability of its message of 256 bytes. */
import type { Context } from "./context.ts";
import { appendDurably, repeated } from "./durable.ts";
import { newLog } from "./logs.ts";
import { RATE } from "./measure.ts";
import { tryPeer } from "./references/peer.ts";
import { tryStore } from "./references/store.ts";
import { rounds, type Run } from "./rounds.ts";
import { atLeast, compareSides, type Goal, type Row } from "./row.ts";

const APPENDERS = 64;
const PAYLOAD_BYTES = 256;
const RUN_MS = 1000;

/** Measures W2. */
export async function w02(context: Context): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const log = stack.use(await newLog(context));
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x5a);
  const payloads = new Array(APPENDERS).fill(payload);
  const sides: Record<string, Run> = {
    Basalt: (ms) => appendDurably(log, APPENDERS, PAYLOAD_BYTES, ms),
  };
  const peers: { id: string; goal: Goal; name: string }[] = [];
  for (
    const [id, goal] of [["lmdb", atLeast(3)], ["level", atLeast(5)]] as const
  ) {
    const peer = await tryPeer(context, id);
    if (peer === undefined) continue;
    stack.use(peer);
    peers.push({ id, goal, name: `${peer.name}, 64 puts at once` });
    sides[id] = (ms) =>
      peer.repeat({ ms, appenders: APPENDERS, bytes: PAYLOAD_BYTES });
  }
  const sqlite = await tryStore(context, "sqlite");
  if (sqlite !== undefined) {
    stack.use(sqlite);
    const name = `${sqlite.name}, transactions of 64`;
    peers.push({ id: "sqlite", goal: atLeast(1.5), name });
    sides.sqlite = (ms) =>
      repeated(
        { ms, messages: APPENDERS, bytes: APPENDERS * PAYLOAD_BYTES },
        () => sqlite.putMany(payloads),
      );
  }
  const runs = await rounds(context, "W2", RUN_MS, sides);
  return peers.map(({ id, goal, name }) =>
    compareSides(
      {
        id: `W2.${id}`,
        name: "durable appends of 256 B, 64 appenders",
        goal,
      },
      RATE,
      { name: "Basalt, 64 appenders", runs: runs.Basalt! },
      { name, runs: runs[id]! },
    )
  );
}
