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

const ROOT = ALL ? new URL(`file://${iggyDirectory()}/`) : undefined;
const SEGMENTS = ROOT && new URL("segments/", ROOT);
const SEGMENTS_09 = ROOT && new URL("segments-0.9/", ROOT);

/** Why they cannot be read here; `undefined` if they can. */
function reasonWithout(): string | undefined {
  if (SEGMENTS === undefined) return "not all permissions";
  for (const url of [SEGMENTS, SEGMENTS_09!]) {
    try {
      Deno.statSync(url);
    } catch {
      return `${url.pathname} is missing`;
    }
  }
  return undefined;
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

/**
 * The directory of the segments of a format and a name, and what the server answered for their
 * messages.
 */
export function recorded(
  format: "0.8" | "0.9",
  name: string,
): [source: URL, answers: Answer[]] {
  if (format === "0.8") return serverWrote(name);
  const lines = Deno.readTextFileSync(new URL(`${name}.ndjson`, SEGMENTS_09));
  const answers = lines.trim().split("\n").map((line): Answer => {
    // Ids and checksums are above 2^53, and numbers there.
    const quoted = line.replaceAll(/("(?:id|checksum)":)(\d+)/g, '$1"$2"');
    const { header, payload_sha256, user_headers } = JSON.parse(quoted);
    return { ...header, payload_sha256, user_headers };
  });
  return [new URL(`${name}/`, SEGMENTS_09), answers];
}
