import type { Task } from "../base/mod.ts";
import { join } from "../log/mod.ts";
import { UnsupportedError } from "../native/mod.ts";
import { pathString } from "../storage/mod.ts";
import type { IggyFormat } from "./format.ts";
import { listIfThere, type Place, readSmall } from "./files.ts";
import { find, readStateLog } from "./state_log.ts";
import { COMPATIBLE_VERSIONS, isCompatible, readVersion } from "./version.ts";

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
  /** The format of the server, as far as its data directory tells. */
  format: IggyFormat | undefined;
}

/**
 * Finds a partition by its directory, or by its address in a server's data directory.
 *
 * @param number The number that a directory has whose path does not tell.
 * @throws {UnsupportedError} If the data directory is not that of a server, is of a version with
 *   another format, or encrypted.
 * @throws {Deno.errors.NotFound} If there is no such stream, topic or partition: the message names
 *   those that there are.
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
  const { dataDirectory } = target;
  const format = yield* dataFormat(place, dataDirectory);
  if (format === "0.9") return yield* findByNumbers(place, target);
  return yield* findByNames(place, target);
}

/**
 * Returns the partition with a directory of its own; its path tells the number where a server made
 * it.
 */
function* partitionAt(
  place: Place,
  action: string,
  path: string,
  number: number | undefined,
): Task<Partition> {
  const own = /(?:^|\/)partitions\/(\d+)\/*$/.exec(path);
  const id = own === null ? number ?? 0 : Number(own[1]);
  if (number !== undefined && number !== id) {
    throw new RangeError(
      `Cannot ${action} as 'partition' must be ${id}, the number in '${path}': received ${number}`,
    );
  }
  const whole = /^(.*)\/streams\/\d+\/topics\/\d+\/partitions\/\d+\/*$/.exec(
    path,
  );
  if (whole === null) return { path, id, format: undefined };
  const names = (yield* listIfThere(place, whole[1]!)).map(({ name }) => name);
  const isServer = names.includes("metadata") || names.includes("state");
  const format = isServer ? yield* dataFormat(place, whole[1]!) : undefined;
  return { path, id, format };
}

/** Returns the format of a data directory. */
function* dataFormat(place: Place, dataDirectory: string): Task<IggyFormat> {
  const names = (yield* listIfThere(place, dataDirectory)).map(({ name }) =>
    name
  );
  // From 0.9 the metadata is a journal of its own.
  if (names.includes("metadata")) return "0.9";
  yield* checkVersion(place, dataDirectory);
  yield* refuseEncrypted(place, dataDirectory);
  return "0.8";
}

/**
 * Finds a partition of Iggy 0.9, whose metadata only the server reads: by the numbers in the names
 * of directories.
 */
function* findByNumbers(
  place: Place,
  { dataDirectory, stream, topic, partition = 0 }: PartitionAddress,
): Task<Partition> {
  if (typeof stream !== "number" || typeof topic !== "number") {
    throw new UnsupportedError(
      `Cannot find stream ${JSON.stringify(stream)}, topic ${
        JSON.stringify(topic)
      } in '${dataDirectory}'`,
      {
        found:
          "names, and the metadata of Iggy 0.9, which only the server reads",
        needed: "the ids of the stream and the topic",
      },
    );
  }
  const path = join(
    dataDirectory,
    `streams/${stream}/topics/${topic}/partitions/${partition}`,
  );
  if ((yield* listIfThere(place, path)).length === 0) {
    throw new Deno.errors.NotFound(
      `No partition ${partition} in topic ${topic} of stream ${stream} of '${dataDirectory}': '${path}' is missing or empty`,
    );
  }
  return { path, id: partition, format: "0.9" };
}

/** Finds a partition of Iggy up to 0.8 by its log of commands. */
function* findByNames(
  place: Place,
  address: PartitionAddress,
): Task<Partition> {
  const { dataDirectory } = address;
  const statePath = join(dataDirectory, "state/log");
  const state = yield* readSmall(place, statePath);
  const streams = readStateLog(state ?? new Uint8Array(0), statePath);
  const [streamId, stream] = resolve(
    "stream",
    streams,
    address.stream,
    `'${dataDirectory}'`,
  );
  const within = `stream ${streamId} ('${stream.name}') of '${dataDirectory}'`;
  const [topicId, topic] = resolve(
    "topic",
    stream.topics,
    address.topic,
    within,
  );
  const id = address.partition ?? 0;
  if (!topic.partitions.has(id)) {
    const there = [...topic.partitions].sort((a, b) => a - b).join(", ");
    throw new Deno.errors.NotFound(
      `No partition ${id} in topic ${topicId} ('${topic.name}') of ${within}: there are ${
        there || "none"
      }`,
    );
  }
  const path = join(
    dataDirectory,
    `streams/${streamId}/topics/${topicId}/partitions/${id}`,
  );
  return { path, id, format: "0.8" };
}

function resolve<T extends { name: string }>(
  what: string,
  all: ReadonlyMap<number, T>,
  wanted: number | string,
  where: string,
): [number, T] {
  const found = find(all, wanted);
  if (found !== undefined) return found;
  const there = [...all].map(([id, { name }]) => `${id} ('${name}')`).join(
    ", ",
  );
  throw new Deno.errors.NotFound(
    `No ${what} ${JSON.stringify(wanted)} in ${where}: there are ${
      there || "none"
    }`,
  );
}

/** Refuses what is not the data directory of a server up to 0.8 whose format is known. */
function* checkVersion(place: Place, dataDirectory: string): Task<void> {
  const refuse = (found: string): never => {
    throw new UnsupportedError(
      `Cannot use '${dataDirectory}' as an Iggy server's data directory`,
      { found, needed: `what ${COMPATIBLE_VERSIONS} or 0.9 leaves there` },
    );
  };
  const path = join(dataDirectory, "state/info");
  const info = yield* readSmall(place, path);
  if (info === undefined) return refuse("no 'state/info' and no 'metadata'");
  const version = readVersion(info);
  if (version === undefined) {
    return refuse(`a 'state/info' that states no version`);
  }
  if (!isCompatible(version)) refuse(`Iggy ${version}`);
}

/** Refuses a server that encrypts payloads: only that server could read them. */
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
