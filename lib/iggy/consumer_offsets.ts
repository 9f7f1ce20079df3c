/**
 * How far consumers have come, as a server stores it. Cursors of a log are not converted yet: what
 * makes consumer offsets of cursors, and cursors of consumer offsets, belongs here.
 *
 * @module
 */
import type { Task } from "../base/mod.ts";
import { join } from "../log/mod.ts";
import { listIfThere, type Place, readSmall } from "./files.ts";

/** How far a consumer or a group of consumers has come, as the server stored it. */
export interface ConsumerOffset {
  /** Which of the two. */
  kind: "consumer" | "group";
  /** Its id. */
  id: number;
  /** The offset of the last message that it has done with. */
  offset: number;
}

/**
 * Reads the consumer offsets of a partition: files of 8 bytes up to Iggy 0.8
 * (`docs/format.md#old-offsets`), of 16 later (`docs/format.md#iggy-offsets`).
 */
export function* readConsumerOffsets(
  place: Place,
  partition: string,
): Task<ConsumerOffset[]> {
  const offsets: ConsumerOffset[] = [];
  for (const kind of ["consumer", "group"] as const) {
    const dir = join(partition, `offsets/${kind}s`);
    const found: ConsumerOffset[] = [];
    for (const { name, isFile } of yield* listIfThere(place, dir)) {
      if (!isFile || !/^\d+$/.test(name)) continue;
      const bytes = yield* readSmall(place, join(dir, name));
      if (bytes === undefined || bytes.length < 8) continue;
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const offset = Number(view.getBigUint64(0, true));
      found.push({ kind, id: Number(name), offset });
    }
    offsets.push(...found.sort((a, b) => a.id - b.id));
  }
  return offsets;
}
