/**
 * A user's first program: acquires, writes, reads and drops; prints where the library came from.
 */
const [module, directory] = Deno.args;
const { BufferPool, DirectFile, loadLibrary } = await import(module!);
const { SimulatedDisk } = await import(
  new URL("lib/testing/mod.ts", module).href
);
const { origin, file: library } = loadLibrary();
using pool = new BufferPool({ limitBytes: 1 << 20 });
const path = `${directory}/blocks`;
{
  await using file = await DirectFile.open(path, {
    read: true,
    write: true,
    createNew: true,
    pool,
  });
  const buffer = await pool.acquire(4096);
  buffer.bytes.fill(7);
  await file.write(buffer, 0, { durability: "data" });
  buffer.drop();
  const part = await file.readAt(100, 600);
  if (
    part.bytes.length !== 600 ||
    part.bytes.some((byte: number) => byte !== 7)
  ) {
    throw new Error("read other bytes than written");
  }
  part.drop();
}
new SimulatedDisk({ seed: 1 }).makeDirectorySync("/log");
console.log(
  JSON.stringify({ origin, library, leased: pool.stats().inUseBytes }),
);
