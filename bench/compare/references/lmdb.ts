/** `npm:lmdb` as a reference, with its default options. */
import type { Store } from "./store.ts";

const VERSION = "3.5.6";
/** A variable, so that checking and starting the program do not need the package. */
export const SPECIFIER: string = `npm:lmdb@${VERSION}`;

/** The part of the package that is used here. */
interface Lmdb {
  open(options: { path: string; encoding: "binary" }): Database;
}

interface Database {
  readonly overlappingSync: boolean;
  readonly flushed: PromiseLike<unknown>;
  put(key: number, value: Uint8Array): Promise<boolean>;
  close(): Promise<void>;
}

/** Opens a database in a directory, with the package's prebuilt library. */
export async function openLmdb(dir: string): Promise<Store> {
  const { open } = await import(SPECIFIER) as Lmdb;
  const database = open({ path: `${dir}/log.mdb`, encoding: "binary" });
  let key = 0;
  return {
    name: `npm:lmdb ${VERSION}`,
    settings:
      `overlappingSync ${database.overlappingSync} (the default), put and flushed awaited`,
    async put(payload) {
      // With `overlappingSync`, `put` resolves before the commit is on the disk.
      await database.put(key++, payload);
      await database.flushed;
    },
    [Symbol.asyncDispose]: () => database.close(),
  };
}
