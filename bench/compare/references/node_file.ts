/**
 * `node:fs` as a reference: `O_DIRECT`, and views that happen to be aligned, for they are blocks of
 * Basalt's pool.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { PooledBuffer } from "../../../mod.ts";
import { sequentially } from "../direct.ts";
import type { Measured } from "../measure.ts";
import { MIB } from "../sizes.ts";

/**
 * Reads or writes a file in order, 1 MiB at a time, as many operations in flight as there are
 * buffers; what was written is synced at the end.
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
