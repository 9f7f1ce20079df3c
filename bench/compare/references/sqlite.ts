/** `node:sqlite` as a reference: a table of payloads, WAL, `synchronous=FULL`. */
import type { Store } from "./store.ts";

/** A store that also has transactions of several payloads. */
export interface SqliteStore extends Store {
  /** Inserts the payloads in one transaction. They are durable when this returns. */
  putMany(payloads: readonly Uint8Array<ArrayBuffer>[]): void;
}

/** Opens a database in a directory. */
export async function openSqlite(dir: string): Promise<SqliteStore> {
  // Loaded here, because a runtime without it must not fail before the first row.
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(`${dir}/log.db`);
  const ask = (sql: string): unknown =>
    Object.values(database.prepare(sql).get() ?? {})[0];
  database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
  database.exec(
    "CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, payload BLOB)",
  );
  const insert = database.prepare("INSERT INTO log (payload) VALUES (?)");
  const pragmas = ["journal_mode", "synchronous", "wal_autocheckpoint"];
  return {
    name: `node:sqlite ${ask("SELECT sqlite_version()")}`,
    settings: pragmas
      .map((pragma) => `${pragma} ${ask(`PRAGMA ${pragma}`)}`)
      .join(", ") + " (synchronous 2 is FULL)",
    put(payload) {
      insert.run(payload);
    },
    putMany(payloads) {
      database.exec("BEGIN");
      for (const payload of payloads) insert.run(payload);
      database.exec("COMMIT");
    },
    [Symbol.asyncDispose]() {
      database.close();
      return Promise.resolve();
    },
  };
}
