/** `node:fs` as a reference: `O_DIRECT` with blocks of Basalt's pool, which are aligned. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { PooledBuffer } from "../../../mod.ts";
import { sequentially } from "../direct.ts";
import type { Measured } from "../measure.ts";
import { MIB } from "../sizes.ts";

/**
 * Reads or writes a file in order, 1 MiB at a time, with one operation in flight for each buffer,
 * and syncs at the end.
 */
export async function nodeFile(
  path: string,
  action: "read" | "write",
  buffers: readonly PooledBuffer[],
  ms: number,
): Promise<Measured> {
  const file = await open(path, constants.O_RDWR | constants.O_DIRECT);
  try {
    const { size } = await file.stat();
    const views = buffers.map((buffer) => buffer.bytes);
    return action === "read"
      ? await sequentially(
        size,
        views,
        ms,
        (view, position) => file.read(view, 0, MIB, position),
      )
      : await sequentially(
        size,
        views,
        ms,
        (view, position) => file.write(view, 0, MIB, position),
        () => file.datasync(),
      );
  } finally {
    await file.close();
  }
}
