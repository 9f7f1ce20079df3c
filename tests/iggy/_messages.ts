/** Messages of Basalt and of a server, in comparable form. */
import {
  encodeUserHeaders,
  formatUuid,
  type Message,
} from "../../lib/codec/mod.ts";
import type { ServerMessage } from "./_server.ts";

/** Returns an id as the server prints it: the 16 bytes as one little-endian number. */
export function idText(decimal: string): string {
  const bytes = new Uint8Array(16);
  let rest = BigInt(decimal);
  for (let i = 0; i < 16; i++, rest >>= 8n) bytes[i] = Number(rest & 255n);
  return formatUuid(bytes);
}

/** Returns user headers as texts, sorted because a server's reply has no order. */
export function headersOf(
  message: Pick<Message, "userHeaders">,
): string[] {
  return message.userHeaders.map((header) => {
    // Kind, length, bytes; kind, length, bytes.
    const bytes = encodeUserHeaders([header]);
    const keyEnd = 5 + bytes[1]!;
    return `${header.key.kind} ${
      bytes.subarray(5, keyEnd).toHex()
    } ${header.value.kind} ${bytes.subarray(keyEnd + 5).toHex()}`;
  }).sort();
}

/** Returns the user headers of a reply in the form of {@linkcode headersOf}. */
export function answeredHeaders(
  headers: ServerMessage["user_headers"],
): string[] {
  return headers.map(({ key, value }) =>
    [key, value].map((field) =>
      `${field.kind} ${Uint8Array.fromBase64(field.value).toHex()}`
    ).join(" ")
  ).sort();
}

/** A message in a form that shows where two differ. */
export interface Comparable {
  offset: number;
  id: string;
  timestamp: number;
  originTimestamp: number;
  payload: string;
  headers: string[];
}

/** Converts a message that Basalt read. */
export async function comparable(message: Message): Promise<Comparable> {
  return {
    offset: message.offset,
    id: message.id,
    timestamp: message.timestamp,
    originTimestamp: message.originTimestamp,
    payload: await digest(message.payload),
    headers: headersOf(message),
  };
}

/** Converts a message of a server's reply. */
export async function answered(message: ServerMessage): Promise<Comparable> {
  const { header } = message;
  return {
    offset: header.offset,
    id: idText(`${header.id}`),
    timestamp: header.timestamp,
    originTimestamp: header.origin_timestamp,
    payload: await digest(Uint8Array.fromBase64(message.payload)),
    headers: answeredHeaders(message.user_headers),
  };
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `${bytes.length} bytes, ${hash.subarray(0, 8).toHex()}`;
}
