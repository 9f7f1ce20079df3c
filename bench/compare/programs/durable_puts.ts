/**
 * Stores messages of 256 bytes durably, so that their syncs can be counted. Arguments: `STORE DIR
 * STEPS GROUP`. A step is one group of messages.
 */
import { Log } from "../../../mod.ts";
import { openStore, type StoreName } from "../references/store.ts";

/** The subjects: the stores, and the ways in which a log makes messages durable. */
export type DurablePuts =
  | StoreName
  | "appendDurable"
  | "flushSync"
  | "appendBatch";

const [name, dir, steps, group] = Deno.args;
const payload = new Uint8Array(256).fill(0x5a);
const payloads: Uint8Array<ArrayBuffer>[] = new Array(Number(group)).fill(
  payload,
);

/** Makes a step of a log. */
async function logStep(log: Log): Promise<void> {
  if (name === "flushSync") {
    log.append(payload);
    log.flushSync();
  } else if (name === "appendBatch") {
    const first = log.appendBatch(payloads);
    await log.whenDurable(first + payloads.length - 1);
  } else {
    await Promise.all(payloads.map((each) => log.appendDurable(each)));
  }
}

if (
  name === "appendDurable" || name === "flushSync" || name === "appendBatch"
) {
  await using log = await Log.open(dir!);
  for (let i = 0; i < Number(steps); i++) await logStep(log);
  console.log(JSON.stringify({ name, settings: "the defaults" }));
} else if (name === "sqlite" && payloads.length > 1) {
  await using store = await openStore("sqlite", dir!);
  for (let i = 0; i < Number(steps); i++) store.putMany(payloads);
  console.log(JSON.stringify({ name: store.name, settings: store.settings }));
} else {
  await using store = await openStore(name as StoreName, dir!);
  for (let i = 0; i < Number(steps); i++) {
    await Promise.all(payloads.map((each) => store.put(each)));
  }
  console.log(JSON.stringify({ name: store.name, settings: store.settings }));
}
