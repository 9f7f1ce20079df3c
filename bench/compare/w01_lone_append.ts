/** W1: one appender that awaits the durability of each message of 256 bytes. */
import type { Context } from "./context.ts";
import { appendAndFlush, appendDurably } from "./durable.ts";
import { newLog } from "./logs.ts";
import { P50, P99, RATE } from "./measure.ts";
import { hasNative, nativeDsync } from "./references/native.ts";
import { type Peer, tryPeer } from "./references/peer.ts";
import { rounds, type Run } from "./rounds.ts";
import { atLeast, atMost, compareSides, type Goal, type Row } from "./row.ts";
import { SCRATCH_BYTES } from "./sizes.ts";

const PAYLOAD_BYTES = 256;
const RUN_MS = 1000;

/** The goals for Basalt's rate divided by each store's. */
const GOALS = [
  ["file", atLeast(1.15)],
  ["sqlite", atLeast(1.6)],
  ["level", atLeast(1.6)],
  ["lmdb", atLeast(3)],
] as const;

/** Measures W1. */
export async function w01(context: Context): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const log = stack.use(await newLog(context));
  const flushed = stack.use(await newLog(context));
  const peers: { id: string; goal: Goal; peer: Peer }[] = [];
  for (const [id, goal] of GOALS) {
    const peer = await tryPeer(context, id);
    if (peer !== undefined) peers.push({ id, goal, peer: stack.use(peer) });
  }
  const block = log.capabilities.physicalBlock;
  const scratch = hasNative(context, "W1.p50, W1.p99")
    ? await context.file("durable", SCRATCH_BYTES)
    : undefined;

  const sides: Record<string, Run> = {
    Basalt: (ms) => appendDurably(log, 1, PAYLOAD_BYTES, ms),
    flushSync: (ms) => appendAndFlush(flushed, PAYLOAD_BYTES, ms),
  };
  for (const { id, peer } of peers) {
    sides[id] = (ms) => peer.repeat({ ms, bytes: PAYLOAD_BYTES });
  }
  if (scratch !== undefined) {
    sides.native = (ms) => nativeDsync(context, scratch, block, ms);
  }
  const runs = await rounds(context, "W1", RUN_MS, sides);

  const ours = { name: "Basalt, appendDurable", runs: runs.Basalt! };
  const inPlace = { name: "Basalt, flushSync", runs: runs.flushSync! };
  const name = "durable appends of 256 B, one appender";
  const rows: Row[] = [];
  for (const { id, goal, peer } of peers) {
    const theirs = { name: peer.name, runs: runs[id]! };
    rows.push(compareSides({ id: `W1.${id}`, name, goal }, RATE, ours, theirs));
    if (id !== "file") continue;
    rows.push(compareSides(
      { id: "W1.flushSync", name: "the same by append and flushSync" },
      RATE,
      inPlace,
      theirs,
    ));
  }
  if (runs.native === undefined) return rows;
  const native = {
    name: `native loop of pwritev2(RWF_DSYNC), ${block} B`,
    runs: runs.native,
  };
  rows.push(
    compareSides(
      { id: "W1.p50", name: `${name}, p50`, goal: atMost(1.1) },
      P50,
      ours,
      native,
    ),
    compareSides(
      { id: "W1.p99", name: `${name}, p99`, goal: atMost(1.3) },
      P99,
      ours,
      native,
    ),
    compareSides(
      { id: "W1.flushSyncP50", name: "the same by append and flushSync, p50" },
      P50,
      inPlace,
      native,
    ),
  );
  return rows;
}
