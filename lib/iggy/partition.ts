import type { Task } from "../base/mod.ts";
import { join } from "../log/mod.ts";
import { UnsupportedError } from "../native/mod.ts";
import { pathString } from "../storage/mod.ts";
import type { IggyFormat } from "./format.ts";
import { listIfThere, type Place, readSmall } from "./_files.ts";
import { find, readStateLog } from "./_state_log.ts";
import { COMPATIBLE_VERSIONS, isCompatible, readVersion } from "./_version.ts";

/** The address of a partition. */
export interface PartitionAddress {
  /** The server's data directory: `system.path` of its configuration. */
  dataDirectory: string;
  /** The stream: its id as a number, or its name. Only the server can read names of Iggy 0.9. */
  stream: number | string;
  /** The topic: its id as a number, or its name, as for the stream. */
  topic: number | string;
  /** The partition's id, counted from 0. Default: `0`. */
  partition?: number;
}

/** A partition that was found. */
export interface Partition {
  /** Its directory. */
  path: string;
  /** Its number. */
  id: number;
  /** The format of the server, if its data directory tells it. */
  format: IggyFormat | undefined;
}

/**
 * Finds a partition by its directory, or by its address in a server's data directory.
 *
 * @param number The partition's number, for a directory whose path does not contain it.
 * @throws {UnsupportedError} If the data directory is not that of a server, is of a version with
 *   another format, or encrypted.
 * @throws {Deno.errors.NotFound} If there is no such stream, topic or partition: the message names
 *   those that exist.
 * @throws {RangeError} If `number` is not the one in the path.
 */
export function* findPartition(
  place: Place,
  action: string,
  target: string | URL | PartitionAddress,
  number: number | undefined,
): Task<Partition> {
  const isAddress = typeof target === "object" && target !== null &&
    !(target instanceof URL);
  if (!isAddress) {
    const path = pathString(action, target);
    return yield* partitionAt(place, action, path, number);
  }
  const format = yield* dataFormat(place, target.dataDirectory);
  return yield* format === "0.9"
    ? findByNumbers(place, target)
    : findByNames(place, target);
}

/** Returns the partition of a directory. A path that a server made contains its number. */
function* partitionAt(
  place: Place,
  action: string,
  path: string,
  number: number | undefined,
): Task<Partition> {
  const [, dataDirectory, own] =
    /^(?:(.*)\/streams\/\d+\/topics\/\d+\/|.*\/|)partitions\/(\d+)\/*$/
      .exec(path) ?? [];
  const id = own === undefined ? number ?? 0 : Number(own);
  if (number !== undefined && number !== id) {
    throw new RangeError(
      `Cannot ${action} as 'partition' must be ${id}, the number in '${path}': received ${number}`,
    );
  }
  if (dataDirectory === undefined) return { path, id, format: undefined };
  const names = yield* namesIn(place, dataDirectory);
  const isServer = names.includes("metadata") || names.includes("state");
  const format = isServer ? yield* dataFormat(place, dataDirectory) : undefined;
  return { path, id, format };
}

function* namesIn(place: Place, dir: string): Task<string[]> {
  return (yield* listIfThere(place, dir)).map(({ name }) => name);
}

/** Returns the format of a data directory. */
function* dataFormat(place: Place, dataDirectory: string): Task<IggyFormat> {
  // From 0.9 the metadata is a journal of its own.
  const names = yield* namesIn(place, dataDirectory);
  if (names.includes("metadata")) return "0.9";
  yield* checkVersion(place, dataDirectory);
  yield* refuseEncrypted(place, dataDirectory);
  return "0.8";
}

/** Returns the path of a partition's directory. */
function pathOf(
  dataDirectory: string,
  stream: number,
  topic: number,
  partition: number,
): string {
  const path = `streams/${stream}/topics/${topic}/partitions/${partition}`;
  return join(dataDirectory, path);
}

/**
 * Finds a partition of Iggy 0.9 by the numbers in the names of directories. Only the server can
 * read its metadata.
 */
function* findByNumbers(
  place: Place,
  { dataDirectory, stream, topic, partition: id = 0 }: PartitionAddress,
): Task<Partition> {
  if (typeof stream !== "number" || typeof topic !== "number") {
    const names = `stream ${JSON.stringify(stream)}, topic ${
      JSON.stringify(topic)
    }`;
    throw new UnsupportedError(`Cannot find ${names} in '${dataDirectory}'`, {
      found: "names, and the metadata of Iggy 0.9, which only the server reads",
      needed: "the ids of the stream and the topic",
    });
  }
  const path = pathOf(dataDirectory, stream, topic, id);
  if ((yield* namesIn(place, path)).length > 0) {
    return { path, id, format: "0.9" };
  }
  throw new Deno.errors.NotFound(
    `No partition ${id} in topic ${topic} of stream ${stream} of '${dataDirectory}': '${path}' is missing or empty`,
  );
}

/** Finds a partition of Iggy up to 0.8 by its log of commands. */
function* findByNames(
  place: Place,
  { dataDirectory, partition: id = 0, ...address }: PartitionAddress,
): Task<Partition> {
  const statePath = join(dataDirectory, "state/log");
  const state = yield* readSmall(place, statePath);
  const streams = readStateLog(state ?? new Uint8Array(0), statePath);
  const server = `'${dataDirectory}'`;
  const [streamId, stream] = resolve("stream", streams, address.stream, server);
  const within = `stream ${streamId} ('${stream.name}') of ${server}`;
  const { topics } = stream;
  const [topicId, topic] = resolve("topic", topics, address.topic, within);
  if (topic.partitions.has(id)) {
    const path = pathOf(dataDirectory, streamId, topicId, id);
    return { path, id, format: "0.8" };
  }
  const where = `topic ${topicId} ('${topic.name}') of ${within}`;
  const ids = [...topic.partitions].sort((a, b) => a - b);
  throw notFound(`partition ${id} in ${where}`, ids);
}

function resolve<T extends { name: string }>(
  what: string,
  all: ReadonlyMap<number, T>,
  wanted: number | string,
  where: string,
): [number, T] {
  const existing = [...all].map(([id, { name }]) => `${id} ('${name}')`);
  const text = `${what} ${JSON.stringify(wanted)} in ${where}`;
  return find(all, wanted, () => notFound(text, existing));
}

function notFound(what: string, existing: readonly unknown[]): Error {
  return new Deno.errors.NotFound(
    `No ${what}: there are ${existing.join(", ") || "none"}`,
  );
}

/** Refuses any directory but that of a server up to 0.8 whose format is known. */
function* checkVersion(place: Place, dataDirectory: string): Task<void> {
  const info = yield* readSmall(place, join(dataDirectory, "state/info"));
  const version = info && readVersion(info);
  if (version !== undefined && isCompatible(version)) return;
  const unknown = info === undefined
    ? "no 'state/info' and no 'metadata'"
    : "a 'state/info' that states no version";
  throw new UnsupportedError(
    `Cannot use '${dataDirectory}' as an Iggy server's data directory`,
    {
      found: version === undefined ? unknown : `Iggy ${version}`,
      needed: `what ${COMPATIBLE_VERSIONS} or 0.9 leaves there`,
    },
  );
}

/** Refuses a server that encrypts payloads, which only that server can read. */
function* refuseEncrypted(place: Place, dataDirectory: string): Task<void> {
  const path = join(dataDirectory, "runtime/current_config.toml");
  const config = yield* readSmall(place, path);
  if (config === undefined) return;
  const text = new TextDecoder().decode(config);
  if (!/^\[system\.encryption\]\s+enabled = true$/m.test(text)) return;
  throw new UnsupportedError(`Cannot use '${dataDirectory}'`, {
    found: "a server that encrypts payloads",
    needed: "one without: 'system.encryption.enabled = false'",
  });
}
