/**
 * The vectors in `docs/format.md` have the checksums that the page states:
 * docs/format.md#checksum-frame, docs/format.md#checksum-batch, docs/format.md#old-checksum.
 */
import { assertEquals } from "@std/assert";
import { xxh3 } from "../codec/_xxh3.ts";
import { FILES } from "../permissions.ts";

const PAGE = new URL("../../docs/format.md", import.meta.url);

interface Vector {
  /** The paragraph before the bytes. */
  readonly text: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Finds the blocks of hexadecimal digits on a page. */
function vectors(markdown: string): Vector[] {
  const blocks = markdown.matchAll(/\n\n(.+?)\n\n```\n([0-9a-f\s]+)```/gs);
  return [...blocks].map(([, before, digits]) => ({
    text: before!.split("\n\n").at(-1)!.replaceAll("\n", " "),
    bytes: Uint8Array.fromHex(digits!.replace(/\s/g, "")),
  }));
}

/** Finds the one vector whose paragraph starts with these words. */
function vector(all: readonly Vector[], start: string): Vector {
  const found = all.filter(({ text }) => text.startsWith(start));
  assertEquals(found.length, 1, start);
  return found[0]!;
}

/** Returns the checksum that a paragraph states. */
function stated({ text }: Vector): string {
  const found = /checksum `([0-9a-f]{16})`/i.exec(text);
  if (found === null) throw new Error(`no checksum is stated: ${text}`);
  return found[1]!;
}

function hash(bytes: Uint8Array): string {
  return xxh3(bytes).toString(16).padStart(16, "0");
}

/** Returns the u64 at a position, in the notation of the page. */
function field(bytes: Uint8Array<ArrayBuffer>, at: number): string {
  const value = new DataView(bytes.buffer).getBigUint64(at, true);
  return value.toString(16).padStart(16, "0");
}

/** Returns `bytes` followed by zeros up to a length. */
function padded(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  whole.set(bytes);
  return whole;
}

/** Returns the bytes that a batch checksum covers. */
function covered(header: Uint8Array, frames: readonly Uint8Array[]) {
  const parts = [header.subarray(0, 40), header.subarray(48, 52)];
  if (header[52] === 1) {
    parts.push(new Uint8Array([1]), header.subarray(56, 66));
    parts.push(header.subarray(68, 72));
  }
  for (const frame of frames) parts.push(frame.subarray(0, 8));
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

Deno.test({
  name: "docs/format.md: frames and messages have the checksums it states",
  ignore: !FILES,
  fn: () => {
    const all = vectors(Deno.readTextFileSync(PAGE));
    for (
      const [start, length] of [
        ["Frame 0", 53],
        ["Frame 1", 70],
        ["Message A", 69],
        ["Message B", 86],
      ] as const
    ) {
      const each = vector(all, start);
      const { bytes } = each;
      assertEquals(bytes.length, length);
      assertEquals(field(bytes, 0), stated(each), start);
      assertEquals(hash(bytes.subarray(8)), stated(each), start);
    }
  },
});

Deno.test({
  name: "docs/format.md: batches have the checksums it states",
  ignore: !FILES,
  fn: () => {
    const all = vectors(Deno.readTextFileSync(PAGE));
    const frames = ["Frame 0", "Frame 1"].map((start) =>
      vector(all, start).bytes
    );
    const second = vector(all, "A second batch").bytes;
    const last = padded(second.subarray(52), 48);
    assertEquals(field(last, 0), hash(last.subarray(8)));
    for (
      const [start, headerBytes, contents] of [
        ["Batch", 52, frames],
        ["The same batch", 72, frames],
        ["A second batch", 52, [last]],
      ] as const
    ) {
      const each = vector(all, start);
      const header = padded(each.bytes.subarray(0, headerBytes), 256);
      const view = new DataView(header.buffer);
      let length = 256;
      for (const frame of contents) length += frame.length;
      assertEquals(Number(view.getBigUint64(32, true)), length, start);
      assertEquals(view.getUint32(48, true), contents.length, start);
      assertEquals(field(header, 40), stated(each), start);
      assertEquals(hash(covered(header, contents)), stated(each), start);
    }
  },
});

Deno.test({
  name:
    "docs/format.md: records of meta, cursors and writer have the checksums it states",
  ignore: !FILES,
  fn: () => {
    const all = vectors(Deno.readTextFileSync(PAGE));
    for (
      const [start, length] of [
        ["`meta` slot", 56],
        ["The next one", 56],
        ["Slot of a cursor", 56],
        ["Owner file", 72],
      ] as const
    ) {
      const each = vector(all, start);
      const { bytes } = each;
      assertEquals(bytes.length, length);
      assertEquals(field(bytes, length - 8), stated(each), start);
      assertEquals(hash(bytes.subarray(0, length - 8)), stated(each), start);
    }
  },
});
