import type { Task } from "../base/mod.ts";
import { join } from "../log/mod.ts";
import { Unsupported } from "../native/mod.ts";
import { listIfThere, type Place, readSmall } from "./files.ts";
import { find, readStateLog } from "./state_log.ts";
import { COMPATIBLE_VERSIONS, isCompatible, readVersion } from "./version.ts";

/** Which partition of which server. */
export interface PartitionAddress {
  /** The server's data directory: `system.path` of its configuration. */
  dataDirectory: string;
  /** The stream: its id as a number, or its name. */
  stream: number | string;
  /** The topic: its id as a number, or its name. */
  topic: number | string;
  /** The partition's id, counted from 0. @default {0} */
  partition?: number;
}

/** How far a consumer or a group of consumers has come, as the server stored it. */
export interface ConsumerOffset {
  /** Which of the two. */
  kind: "consumer" | "group";
  /** Its id. */
  id: number;
  /** The offset of the last message that it has done with. */
  offset: number;
}

/** A partition that was found. */
export interface Partition {
  /** Its directory. */
  path: string;
  /** The version of the server that last started on the data directory. */
  version: string;
  /** The stream's id and name. */
  stream: { id: number; name: string };
  /** The topic's id and name. */
  topic: { id: number; name: string };
  /** The partition's id. */
  id: number;
  /** What consumers stored. */
  consumerOffsets: ConsumerOffset[];
}

/**
 * Finds a partition in a server's data directory.
 *
 * @throws {Unsupported} If the directory is none of a server, or of one with another format, or is encrypted.
 * @throws {Deno.errors.NotFound} If there is no such stream, topic or partition: the message names those that there are.
 */
export function* findPartition(
  place: Place,
  address: PartitionAddress,
): Task<Partition> {
  const { dataDirectory } = address;
  const version = yield* checkVersion(place, dataDirectory);
  yield* refuseEncrypted(place, dataDirectory);
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
  return {
    path,
    version,
    stream: { id: streamId, name: stream.name },
    topic: { id: topicId, name: topic.name },
    id,
    consumerOffsets: [
      ...yield* storedOffsets(place, path, "consumer"),
      ...yield* storedOffsets(place, path, "group"),
    ],
  };
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

/** Refuses what is not the data directory of a server with this project's format. */
function* checkVersion(place: Place, dataDirectory: string): Task<string> {
  const refuse = (found: string, cause?: unknown): never => {
    throw new Unsupported(
      `Cannot use '${dataDirectory}' as an Iggy server's data directory`,
      {
        found,
        needed: `what ${COMPATIBLE_VERSIONS} leaves there`,
        ...(cause === undefined ? {} : { cause }),
      },
    );
  };
  const names = (yield* listIfThere(place, dataDirectory)).map(({ name }) =>
    name
  );
  // From 0.9 on the metadata is a journal of its own, and partitions have another format.
  if (names.includes("metadata")) {
    refuse(
      "Iggy 0.9 or later: it has 'metadata', and segments of another format",
    );
  }
  const path = join(dataDirectory, "state/info");
  const info = yield* readSmall(place, path);
  if (info === undefined) return refuse("no 'state/info'");
  const version = readVersion(info);
  if (version === undefined) {
    return refuse(`a 'state/info' that states no version`);
  }
  if (!isCompatible(version)) refuse(`Iggy ${version}`);
  return version;
}

/** Payloads of a server with encryption are no messages of anybody else. */
function* refuseEncrypted(place: Place, dataDirectory: string): Task<void> {
  const path = join(dataDirectory, "runtime/current_config.toml");
  const config = yield* readSmall(place, path);
  if (config === undefined) return;
  const text = new TextDecoder().decode(config);
  if (!/^\[system\.encryption\]\s+enabled = true$/m.test(text)) return;
  throw new Unsupported(`Cannot use '${dataDirectory}'`, {
    found: "a server that encrypts payloads",
    needed: "one without: 'system.encryption.enabled = false'",
  });
}

function* storedOffsets(
  place: Place,
  partition: string,
  kind: "consumer" | "group",
): Task<ConsumerOffset[]> {
  const dir = join(partition, `offsets/${kind}s`);
  const offsets: ConsumerOffset[] = [];
  for (const { name, isFile } of yield* listIfThere(place, dir)) {
    if (!isFile || !/^\d+$/.test(name)) continue;
    const bytes = yield* readSmall(place, join(dir, name));
    if (bytes === undefined || bytes.length < 8) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    offsets.push({
      kind,
      id: Number(name),
      offset: Number(view.getBigUint64(0, true)),
    });
  }
  return offsets.sort((a, b) => a.id - b.id);
}
