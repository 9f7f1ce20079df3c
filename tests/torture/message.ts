/** Messages that tell who appended them: a reader needs no memory of what was written to check every byte. */
import { SeededRandom } from "@basalt/io/testing";

/** Who appended a message: the number of the life, and of the message in it. */
export interface Author {
  life: number;
  number: number;
}

/** Bytes of the author at the beginning of a payload. */
const AUTHOR_BYTES = 8;
/** No payload has as many bytes. */
export const PAYLOAD_LIMIT = AUTHOR_BYTES + 60_000;

/**
 * The payload of an author's message, mostly short, now and then larger than a block.
 *
 * @param place Where it is made, from the front, {@linkcode PAYLOAD_LIMIT} bytes; an array of its own if not given.
 */
export function makePayload(
  { life, number }: Author,
  place?: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const random = new SeededRandom(life * 1_000_003 + number);
  const length = AUTHOR_BYTES +
    random.below(
      random.chance(0.03) ? 60_000 : random.chance(0.2) ? 5000 : 300,
    );
  const bytes = random.fill(
    place?.subarray(0, length) ?? new Uint8Array(length),
  );
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(0, life, true);
  view.setUint32(4, number, true);
  return bytes;
}

/** Where payloads are made only to be compared: a check leaves no garbage of their size. */
const expectedPlace = new Uint8Array(PAYLOAD_LIMIT);

/** The author that a payload names, if every byte is as that author's message has it. */
export function authorOf(payload: Uint8Array): Author | undefined {
  if (payload.length < AUTHOR_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, AUTHOR_BYTES);
  const author = {
    life: view.getUint32(0, true),
    number: view.getUint32(4, true),
  };
  const expected = makePayload(author, expectedPlace);
  const same = expected.length === payload.length &&
    expected.every((byte, i) => byte === payload[i]);
  return same ? author : undefined;
}
