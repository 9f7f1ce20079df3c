/** Durable appends from 64 tasks. Each task awaits its message before it sends the next one. */
import { Log } from "../../lib/log/mod.ts";
import type { BufferPool } from "../../lib/pool/mod.ts";
import { openSqlite } from "../compare/references/sqlite.ts";
import { SharedFile } from "../compare/references/synced_file.ts";
import { type Rate, type Stage, until } from "./stage.ts";

/** Tasks that append at the same time. */
export const TASKS = 64;
const PAYLOAD = new Uint8Array(100).fill(0x2e);

/** Measures the three sides, one after the other. */
export async function appends(
  stage: Stage,
  pool: BufferPool,
): Promise<Rate[]> {
  return [
    await toLog(stage, pool),
    await toFile(stage),
    await toSqlite(stage),
  ];
}

/** Lets tasks append until the time is over. */
async function tasks(
  stage: Stage,
  name: string,
  append: () => Promise<unknown>,
): Promise<Rate> {
  let count = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: TASKS }, () =>
      until(stage, async () => {
        await append();
        count++;
        stage.show(`${name}: ${count} appends`);
        return true;
      })),
  );
  return { name, perSecond: count * 1000 / (performance.now() - start) };
}

async function toLog(stage: Stage, pool: BufferPool): Promise<Rate> {
  using dir = stage.directory();
  await using log = await Log.open(dir.path, { pool });
  return await tasks(stage, "Basalt", () => log.appendDurable(PAYLOAD));
}

/** One sync covers all waiting tasks, as in a careful program. */
async function toFile(stage: Stage): Promise<Rate> {
  using dir = stage.directory();
  const file = new SharedFile(
    Deno.openSync(`${dir.path}/file`, { append: true, create: true }),
  );
  try {
    return await tasks(stage, "Deno.FsFile", () => file.append(PAYLOAD));
  } finally {
    file.close();
  }
}

/** The messages of all tasks are one transaction. */
async function toSqlite(stage: Stage): Promise<Rate> {
  using dir = stage.directory();
  await using database = await openSqlite(dir.path);
  const payloads = new Array(TASKS).fill(PAYLOAD);
  const name = "node:sqlite";
  let count = 0;
  const seconds = await until(stage, () => {
    database.putMany(payloads);
    count += TASKS;
    stage.show(`${name}: ${count} appends`);
    return Promise.resolve(true);
  });
  return { name, perSecond: count / seconds };
}
