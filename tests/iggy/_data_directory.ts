/**
 * Makes as much of a server's data directory as the library reads, without a server. Tests with a
 * real server check that it is right.
 */
import type { SimulatedDisk } from "@basalt/io/testing";

/**
 * Encodes fields: a number is a byte, `[value, size]` a little-endian integer, a text its UTF-8.
 */
function bytes(...fields: (number | [number, number] | string | Uint8Array)[]) {
  const out: number[] = [];
  for (const field of fields) {
    if (typeof field === "number") out.push(field);
    else if (typeof field === "string") {
      out.push(...new TextEncoder().encode(field));
    } else if (field instanceof Uint8Array) out.push(...field);
    else {
      const [value, size] = field;
      for (let i = 0; i < size; i++) {
        out.push(Math.floor(value / 256 ** i) % 256);
      }
    }
  }
  return new Uint8Array(out);
}

function entry(code: number, command: Uint8Array): Uint8Array {
  return bytes(
    new Uint8Array(52),
    [0, 4],
    [code, 4],
    [command.length, 4],
    command,
  );
}

/** Makes `state/log` with one stream (id 0) of one topic (id 0). */
export function stateLog(
  stream: string,
  topic: string,
  partitions: number,
): Uint8Array {
  const name = (text: string) => bytes(text.length, text);
  const createStream = name(stream);
  const createTopic = bytes(
    bytes(1, 4, [0, 4]),
    [partitions, 4],
    new Uint8Array(18),
    name(topic),
  );
  return bytes(
    entry(202, bytes([0, 4], [createStream.length, 4], createStream)),
    entry(302, bytes([0, 4], [createTopic.length, 4], createTopic)),
  );
}

/** Makes `state/info` of a version. */
export function stateInfo(version: string): Uint8Array {
  return bytes(0x92, 0x92, 0xa0 + version.length, version, 0xa1, "0", 0x90);
}

/**
 * Makes the files of a data directory with stream `s`, topic `t` and one empty partition. For
 * version `"0.9"` there are no names.
 */
export function dataDirectory(version = "0.8.0"): Record<string, Uint8Array> {
  const partition = "streams/0/topics/0/partitions/0";
  return {
    ...(version === "0.9" ? { "metadata/journal.wal": new Uint8Array(8) } : {
      "state/info": stateInfo(version),
      "state/log": stateLog("s", "t", 1),
    }),
    [`${partition}/00000000000000000000.log`]: new Uint8Array(0),
    [`${partition}/00000000000000000000.index`]: new Uint8Array(0),
    [`${partition}/offsets/consumers/7`]: bytes([3, 8]),
  };
}

/** Puts files on a simulated disk, durably. */
export function putFiles(
  disk: SimulatedDisk,
  dir: string,
  files: Record<string, Uint8Array>,
): void {
  for (const [name, content] of Object.entries(files)) {
    disk.poke(`${dir}/${name}`, 0, content);
  }
}

/** Writes files into a directory. */
export function writeFiles(
  dir: string,
  files: Record<string, Uint8Array>,
): void {
  for (const [name, content] of Object.entries(files)) {
    const path = `${dir}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeFileSync(path, content);
  }
}
