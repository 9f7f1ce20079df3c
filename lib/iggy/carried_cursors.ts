/**
 * Turns cursors of a log into consumer offsets of a partition, and back.
 *
 * A cursor holds the offset of the first message that its consumer has not processed. Iggy stores
 * the offset of the last message that it has processed, so a cursor at 0 has no file in a
 * partition. A position outside the copied messages moves to their nearest end, as in a server.
 *
 * @module
 */
import type { Task } from "../base/mod.ts";
import { type LogPlace, readCursors, type StoredCursor } from "../log/mod.ts";
import { type ConsumerKind, MAX_CONSUMER_ID } from "./consumer_offsets.ts";
import type { Place } from "./_files.ts";
import type { TransferReport } from "./report.ts";

/** A cursor of the log, and the corresponding consumer of the partition. */
export interface CarriedCursor {
  /** The cursor's name. */
  cursor: string;
  /** Whether it stands for a consumer or a group of consumers. */
  kind: ConsumerKind;
  /** Id of the consumer or the group. */
  id: number;
  /** Its position in the source: the offset of the first message that is not processed. */
  sourcePosition: number;
  /** Its position in the target, which differs if no such message was copied. */
  position: number;
  /** Whether the target had it already. A cursor that has moved since then keeps its position. */
  wasThere: boolean;
}

/** Names of cursors by the ids of consumers, or of groups. */
export type CursorNames = Readonly<Record<number, string>>;

/**
 * Checks the ids of consumers or groups.
 *
 * @throws {RangeError} If a key is not an id.
 */
export function checkConsumerIds(
  action: string,
  option: "consumers" | "groups",
  names: CursorNames,
): void {
  for (const key of Object.keys(names)) {
    const id = Number(key);
    if (/^\d+$/.test(key) && id <= MAX_CONSUMER_ID) continue;
    throw new RangeError(
      `Cannot ${action} as the keys of '${option}' must be ids from 0 to ${MAX_CONSUMER_ID}: received ${
        JSON.stringify(key)
      }`,
    );
  }
}

/** A cursor that becomes a consumer offset. */
export interface WantedCursor extends StoredCursor {
  /** Consumer or group. */
  kind: ConsumerKind;
  /** Its id. */
  id: number;
}

/**
 * Finds the cursors that become consumer offsets.
 *
 * @returns These cursors, and the names of the log's other cursors.
 * @throws {Deno.errors.NotFound} If the log has no cursor of a name. The message names those that
 *   it has.
 */
export function* findCursors(
  place: LogPlace,
  consumers: CursorNames,
  groups: CursorNames,
): Task<{ wanted: WantedCursor[]; others: string[] }> {
  const stored = yield* readCursors(place);
  const all = stored.map(({ name }) => name);
  const want = (kind: ConsumerKind, names: CursorNames): WantedCursor[] =>
    Object.entries(names).map(([id, name]) => {
      const found = stored.find((cursor) => cursor.name === name);
      if (found !== undefined) return { ...found, kind, id: Number(id) };
      const existing = all.map((each) => `'${each}'`).join(", ");
      throw new Deno.errors.NotFound(
        `No cursor ${JSON.stringify(name)} in log '${place.dir}': there are ${
          existing || "none"
        }`,
      );
    });
  const wanted = [...want("consumer", consumers), ...want("group", groups)];
  const others = all.filter((name) =>
    !wanted.some((each) => each.name === name)
  );
  return { wanted, others };
}

/**
 * Plans the consumer offsets of cursors.
 *
 * @throws {Deno.errors.AlreadyExists} If the partition stores another offset for one of them.
 */
export function planOffsets(
  wanted: readonly WantedCursor[],
  { firstOffset, nextOffset, to, consumerOffsets }: TransferReport,
): CarriedCursor[] {
  return wanted.map(({ name: cursor, kind, id, offset: sourcePosition }) => {
    const position = within(firstOffset, nextOffset, sourcePosition);
    const there = consumerOffsets.find((each) =>
      each.kind === kind && each.id === id
    );
    const wasThere = there !== undefined;
    if (wasThere && there.offset !== position - 1) {
      throw new Deno.errors.AlreadyExists(
        `Cannot copy to '${to}': it stores offset ${there.offset} for ${kind} ${id}, and cursor '${cursor}' would store ${
          position - 1
        }. Remove 'offsets/${kind}s/${id}' if it is out of date`,
      );
    }
    return { cursor, kind, id, sourcePosition, position, wasThere };
  });
}

/**
 * Plans the cursors for consumer offsets: `consumer-<id>` and `group-<id>`.
 *
 * @param isUsed Whether the log was opened since an earlier import: its cursors stay where they
 *   are.
 * @throws {Deno.errors.AlreadyExists} If the directory has another cursor of a name.
 */
export function* planCursors(
  place: Place,
  isUsed: boolean,
  { firstOffset, nextOffset, to, consumerOffsets }: TransferReport,
): Task<CarriedCursor[]> {
  const existing = yield* readCursors({ ...place, dir: to });
  return consumerOffsets.map(({ kind, id, offset }) => {
    const cursor = `${kind}-${id}`;
    const sourcePosition = offset + 1;
    const expected = within(firstOffset, nextOffset, sourcePosition);
    const there = existing.find(({ name }) => name === cursor);
    const position = there?.offset ?? expected;
    if (position !== expected && !isUsed) {
      throw new Deno.errors.AlreadyExists(
        `Cannot copy to '${to}': its cursor '${cursor}' is at ${position}, and ${kind} ${id} of the partition at ${expected}. Remove 'cursors/${cursor}' if it is out of date`,
      );
    }
    const wasThere = there !== undefined;
    return { cursor, kind, id, sourcePosition, position, wasThere };
  });
}

function within(first: number, next: number, at: number): number {
  return Math.min(Math.max(at, first), next);
}
