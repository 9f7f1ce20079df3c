/** Tries a filesystem, and prints the outcome. */
import { driveSync } from "../../lib/base/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";
import { DirectFile, type NoSpaceError } from "../../lib/storage/mod.ts";
import { openDescriptor } from "../../lib/storage/_open_descriptor.ts";

const dir = Deno.args[0]!;
const results: Record<string, unknown> = {};
const pool = new BufferPool();

function fields(error: unknown): Record<string, unknown> {
  return { ...(error as NoSpaceError) };
}

/** Returns how many pages of a file are in the page cache. */
function pagesOf(path: string): number {
  using file = driveSync(openDescriptor(path, { read: true }));
  return file.cachedPages().cachedPages;
}

async function thrown(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("no error");
}

{
  const options = { read: true, write: true, createNew: true };
  using file = await DirectFile.open(`${dir}/prefer`, options);
  results.prefer = file.capabilities;
  if (file.capabilities.tier === "uncached") {
    using cold = DirectFile.openSync(`${dir}/cold`, { pool });
    using part = cold.readAtSync(1000, 30000);
    // Pages that were read ahead stay until they are read, so only reading the whole file leaves
    // none.
    using whole = cold.readAtSync(0, 65536);
    const cachedPages = pagesOf(`${dir}/cold`);
    const { direct } = await cold.verifyDirect();
    using block = pool.acquireSync(65536, { zeroed: true });
    results.uncached = {
      equal: part.length === 30000 && whole.length === 65536 &&
        part.bytes.every((byte) => byte === 7),
      written: await file.write(block, 0, { durability: "data" }),
      cachedPages,
      direct,
    };
  }
}
Deno.removeSync(`${dir}/prefer`);

const path = `${dir}/require`;
for (const options of [{ createNew: true }, { create: true }]) {
  const error = await thrown(() =>
    DirectFile.open(path, { write: true, ...options, direct: "require" })
  ) as Error;
  let left = true;
  try {
    Deno.lstatSync(path);
  } catch {
    left = false;
  }
  results.require = { error: error.name, left, message: error.message };
  if (left) break;
}

{
  using file = DirectFile.openSync(`${dir}/full`, {
    write: true,
    create: true,
    direct: "never",
  });
  using block = pool.acquireSync(131072, { zeroed: true });
  try {
    await file.write(block, 0);
  } catch (error) {
    const sync = await thrown(() =>
      file.writeSync(block, 65536, { length: 65536 })
    );
    const { bytesWritten, errors } = file.stats();
    results.noSpace = {
      async: fields(error),
      sync: fields(sync),
      stats: { bytesWritten, errors },
    };
    results.allocation = fields(
      await thrown(() => file.preallocateSync(0, 1048576)),
    );
    file.truncateSync(0);
    results.afterwards = {
      written: await file.write(block, 0, { length: 4096 }),
    };
  }
}
console.log(JSON.stringify(results));
