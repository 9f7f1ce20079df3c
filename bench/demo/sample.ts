/** The lines that the demonstration writes. */
import { type Lines, readLines } from "../../lib/cli/_lines.ts";

/** Maximum number of bytes of a text. The text is repeated as needed. */
const SAMPLE_BYTES = 8 * 1024 * 1024;
const PART_BYTES = 1024 * 1024;
const TEXT = /\.(ts|rs|md|json|toml|txt)$/;

/** Lines in memory, about 1 MiB of them, that become durable together. */
export interface Part extends Lines {
  /** Each line, as a view of the bytes. */
  payloads: Uint8Array<ArrayBuffer>[];
}

/** Reads the first lines of a file, or of the checkout's own text. */
export function readSample(path: string | undefined): Part[] {
  const parts: Part[] = [];
  let size = 0;
  for (const file of path === undefined ? checkout() : [path]) {
    using source = Deno.openSync(file);
    for (const { bytes, lengths } of readLines(source)) {
      parts.push(toPart(bytes.slice(), lengths.slice()));
      size += bytes.length;
      if (size >= SAMPLE_BYTES) return parts;
    }
  }
  if (size === 0) throw new Error(`${path} has no lines`);
  return size < SAMPLE_BYTES ? [repeat(parts)] : parts;
}

function toPart(
  bytes: Uint8Array<ArrayBuffer>,
  lengths: Uint32Array<ArrayBuffer>,
): Part {
  const payloads: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  for (const length of lengths) {
    payloads.push(bytes.subarray(at, at += length));
  }
  return { bytes, lengths, payloads };
}

/** Makes one part of 1 MiB of small parts, which are repeated as needed. */
function repeat(parts: readonly Part[]): Part {
  const payloads = parts.flatMap(({ payloads }) => payloads);
  const longest = payloads.reduce(
    (most, { length }) => Math.max(most, length),
    0,
  );
  const bytes = new Uint8Array(Math.max(longest, PART_BYTES));
  const lengths: number[] = [];
  let at = 0;
  for (let i = 0;; i++) {
    const payload = payloads[i % payloads.length]!;
    if (at + payload.length > bytes.length) break;
    bytes.set(payload, at);
    at += payload.length;
    lengths.push(payload.length);
  }
  return toPart(bytes.subarray(0, at), new Uint32Array(lengths));
}

/** Finds the text files of the checkout. */
function checkout(): string[] {
  const found: string[] = [];
  const visit = (dir: URL): void => {
    const entries = [...Deno.readDirSync(dir)];
    entries.sort((a, b) => a.name < b.name ? -1 : 1);
    for (const { name, isDirectory, isFile } of entries) {
      if (isDirectory && !/^(\.|target$|node_modules$)/.test(name)) {
        visit(new URL(`${name}/`, dir));
      } else if (isFile && TEXT.test(name)) {
        found.push(decodeURIComponent(new URL(name, dir).pathname));
      }
    }
  };
  visit(new URL("../../lib/", import.meta.url));
  return found;
}
