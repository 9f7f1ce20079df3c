/** `npm:classic-level` as a reference, each put with `sync: true`. */
import type { Store } from "./store.ts";

const VERSION = "3.0.0";
/** A variable, so that checking and starting the program do not need the package. */
export const SPECIFIER: string = `npm:classic-level@${VERSION}`;

/** The part of the package that is used here. */
interface Level {
  ClassicLevel: new (path: string, options: { valueEncoding: "view" }) => {
    open(): Promise<void>;
    put(
      key: string,
      value: Uint8Array,
      options: { sync: boolean },
    ): Promise<void>;
    close(): Promise<void>;
  };
}

/** Opens a database in a directory, with the library that the package contains. */
export async function openLevel(dir: string): Promise<Store> {
  const { ClassicLevel } = await import(SPECIFIER) as Level;
  const database = new ClassicLevel(`${dir}/log`, { valueEncoding: "view" });
  await database.open();
  const options = { sync: true };
  let key = 0;
  return {
    name: `npm:classic-level ${VERSION}`,
    settings: "put with sync: true, otherwise the defaults",
    put: (payload) =>
      database.put(String(key++).padStart(12, "0"), payload, options),
    [Symbol.asyncDispose]: () => database.close(),
  };
}
