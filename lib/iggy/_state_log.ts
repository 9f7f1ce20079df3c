/**
 * The log of commands in which a server keeps its streams and topics: `state/log`.
 *
 * @module
 */
import { UnsupportedError } from "../native/mod.ts";
import { COMPATIBLE_VERSIONS } from "./_version.ts";

/** A stream, as the commands left it. */
export interface IggyStream {
  /** Its name. */
  name: string;
  /** Its topics by id. */
  topics: Map<number, IggyTopic>;
}

/** A topic, as the commands left it. */
export interface IggyTopic {
  /** Its name. */
  name: string;
  /** The ids of its partitions. */
  partitions: Set<number>;
}

/**
 * Bytes of an entry before its context: index, term, leader, version, flags, time, user, checksum,
 * length of the context.
 */
const HEADER_BYTES = 56;

const COMMAND = {
  CREATE_STREAM: 202,
  DELETE_STREAM: 203,
  UPDATE_STREAM: 204,
  CREATE_TOPIC: 302,
  DELETE_TOPIC: 303,
  UPDATE_TOPIC: 304,
  CREATE_PARTITIONS: 402,
  DELETE_PARTITIONS: 403,
} as const;

/** Bytes of a topic's settings: compression, expiry, largest size, replication. */
const TOPIC_SETTINGS_BYTES = 18;

/**
 * Replays the commands. Those that are not about streams, topics or partitions are skipped.
 *
 * @throws {UnsupportedError} If the log is cut off, encrypted, or from a server of another version.
 */
export function readStateLog(
  bytes: Uint8Array,
  path: string,
): Map<number, IggyStream> {
  const streams = new Map<number, IggyStream>();
  let at = 0;
  try {
    while (at < bytes.length) {
      const entry = new Fields(bytes.subarray(at));
      entry.take(HEADER_BYTES - 4);
      entry.take(entry.uint32());
      const code = entry.uint32();
      const command = entry.take(entry.uint32());
      apply(streams, code, new Fields(command));
      at += entry.position;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UnsupportedError(
      `Cannot read the streams and topics in '${path}'`,
      {
        found: `an entry at byte ${at} of ${bytes.length} (${error.message})`,
        needed: `whole entries of ${COMPATIBLE_VERSIONS}, not encrypted`,
        cause: error,
      },
    );
  }
  return streams;
}

function apply(
  streams: Map<number, IggyStream>,
  code: number,
  command: Fields,
): void {
  const one = <T extends { name: string }>(all: Map<number, T>) => {
    const wanted = command.identifier();
    const text = `it names ${JSON.stringify(wanted)}, which does not exist`;
    return find(all, wanted, () => new RangeError(text));
  };
  const findStream = () => one(streams);
  const findTopic = () => {
    const [, { topics }] = findStream();
    const [id, topic] = one(topics);
    return { topics, id, topic };
  };
  switch (code) {
    case COMMAND.CREATE_STREAM: {
      const id = command.uint32();
      command.take(4);
      streams.set(id, { name: command.name(), topics: new Map() });
      break;
    }
    case COMMAND.UPDATE_STREAM: {
      const [, stream] = findStream();
      stream.name = command.name();
      break;
    }
    case COMMAND.DELETE_STREAM:
      streams.delete(findStream()[0]);
      break;
    case COMMAND.CREATE_TOPIC: {
      const id = command.uint32();
      command.take(4);
      const [, stream] = findStream();
      const count = command.uint32();
      command.take(TOPIC_SETTINGS_BYTES);
      const partitions = new Set(Array.from({ length: count }, (_, i) => i));
      stream.topics.set(id, { name: command.name(), partitions });
      break;
    }
    case COMMAND.UPDATE_TOPIC: {
      const { topic } = findTopic();
      command.take(TOPIC_SETTINGS_BYTES);
      topic.name = command.name();
      break;
    }
    case COMMAND.DELETE_TOPIC: {
      const { topics, id } = findTopic();
      topics.delete(id);
      break;
    }
    case COMMAND.CREATE_PARTITIONS:
    case COMMAND.DELETE_PARTITIONS: {
      const { partitions } = findTopic().topic;
      const count = command.uint32();
      const last = Math.max(0, ...partitions);
      for (let i = 0; i < count; i++) {
        // The server numbers them after the last one. Without any, it begins with 1.
        if (code === COMMAND.CREATE_PARTITIONS) partitions.add(last + 1 + i);
        else partitions.delete(last - i);
      }
      break;
    }
  }
}

/** Returns the stream or topic with an id or a name, or throws what `missing` makes. */
export function find<T extends { name: string }>(
  all: ReadonlyMap<number, T>,
  wanted: number | string,
  missing: () => Error,
): [number, T] {
  const found = [...all].find(([id, { name }]) =>
    typeof wanted === "number" ? id === wanted : name === wanted
  );
  if (found === undefined) throw missing();
  return found;
}

/** Reads little-endian fields, one after the other. Throws a `RangeError` where the bytes end. */
class Fields {
  position = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  uint32(): number {
    const { buffer, byteOffset } = this.take(4);
    return new DataView(buffer, byteOffset).getUint32(0, true);
  }

  take(length: number): Uint8Array {
    const end = this.position + length;
    if (end > this.#bytes.length) {
      throw new RangeError(`it ends before its next ${length} bytes`);
    }
    const part = this.#bytes.subarray(this.position, end);
    this.position = end;
    return part;
  }

  /** Reads a length of one byte, and a text. */
  name(): string {
    return new TextDecoder().decode(this.take(this.take(1)[0]!));
  }

  /** Reads a kind (1 for a number, 2 for a name), a length of one byte, and the value. */
  identifier(): number | string {
    const kind = this.take(1)[0]!;
    const value = new Fields(this.take(this.take(1)[0]!));
    if (kind === 1) return value.uint32();
    if (kind !== 2) throw new RangeError(`an identifier of kind ${kind}`);
    return new TextDecoder().decode(value.#bytes);
  }
}
