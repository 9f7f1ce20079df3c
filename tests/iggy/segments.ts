/** Segments that a real Iggy server wrote, and what it answered when polled for them. */
import { ALL } from "../permissions.ts";
import { iggyDirectory, type ServerMessage } from "./server.ts";

/**
 * A line of an `.ndjson`: what the server answered for a message. Numbers above 2^53 are in strings
 * there.
 */
export interface Answer {
  offset: number;
  id: string;
  checksum: string;
  timestamp: number;
  origin_timestamp: number;
  payload_length: number;
  payload_sha256: string;
  user_headers: ServerMessage["user_headers"];
}

const SEGMENTS = ALL
  ? new URL(`file://${iggyDirectory()}/segments/`)
  : undefined;

/** Why they cannot be read here; `undefined` if they can. */
function reasonWithout(): string | undefined {
  if (SEGMENTS === undefined) return "not all permissions";
  try {
    Deno.statSync(SEGMENTS);
    return undefined;
  } catch {
    return `${SEGMENTS.pathname} is missing`;
  }
}

const reason = reasonWithout();
/** Whether there are none here: tests with them are ignored. */
export const WITHOUT_SEGMENTS: boolean = reason !== undefined;
/** What the names of such tests end with. */
export const SKIPPED: string = WITHOUT_SEGMENTS ? ` (skipped: ${reason})` : "";

/** The directory of the segments of a name, and what the server answered for their messages. */
export function serverWrote(name: string): [source: URL, answers: Answer[]] {
  const lines = Deno.readTextFileSync(new URL(`${name}.ndjson`, SEGMENTS));
  return [
    new URL(`${name}/`, SEGMENTS),
    lines.trim().split("\n").map((line) => JSON.parse(line)),
  ];
}
