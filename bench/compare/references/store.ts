/** The stores of the W rows, opened as a user would open them. */
import type { Context } from "../context.ts";
import { openLevel } from "./level.ts";
import { openLmdb } from "./lmdb.ts";
import { openSqlite } from "./sqlite.ts";
import { openSyncedFile } from "./synced_file.ts";

/** A store that keeps payloads in order. */
export interface Store extends AsyncDisposable {
  /** Name and version. */
  readonly name: string;
  /** The settings of its durability, read back from the store where possible. */
  readonly settings: string;
  /** Stores a payload. It is durable when this returns or its promise resolves. */
  put(payload: Uint8Array<ArrayBuffer>): Promise<unknown> | void;
}

const OPENERS = {
  file: openSyncedFile,
  level: openLevel,
  lmdb: openLmdb,
  sqlite: openSqlite,
};

/** The stores. */
export type StoreName = keyof typeof OPENERS;

/** The type of a store by its name. */
export type Opened<Name extends StoreName> = Awaited<
  ReturnType<(typeof OPENERS)[Name]>
>;

/** The names for stores that cannot be loaded. */
export const LABELS: Record<StoreName, string> = {
  file: "Deno.FsFile",
  level: "npm:classic-level",
  lmdb: "npm:lmdb",
  sqlite: "node:sqlite",
};

let count = 0;

/** Returns a directory for a new store of the run. */
export function newStoreDirectory(context: Context, name: StoreName): string {
  return context.path(`store-${name}-${count++}`);
}

/** Opens a store in a directory. */
export async function openStore<Name extends StoreName>(
  name: Name,
  dir: string,
): Promise<Opened<Name>> {
  Deno.mkdirSync(dir, { recursive: true });
  return await OPENERS[name](dir) as Opened<Name>;
}

/** Opens a new store and notes its settings. A store that cannot be loaded is left out. */
export async function tryStore<Name extends StoreName>(
  context: Context,
  name: Name,
): Promise<Opened<Name> | undefined> {
  try {
    const store = await openStore(name, newStoreDirectory(context, name));
    context.note(`${store.name}: ${store.settings}`);
    return store;
  } catch (error) {
    const [reason] = (error as Error).message.split("\n");
    context.leaveOut(LABELS[name], reason!);
    return undefined;
  }
}
