/**
 * Segments that a real Iggy server of the batch format wrote, and what it answered when polled for
 * them.
 */
import { ALL } from "../permissions.ts";
import { iggyDirectory, type ServerMessage } from "./server.ts";

/**
 * A line of an `.ndjson`: what the server answered for a message. Ids and checksums are above 2^53,
 * so they are texts.
 */
export interface BatchAnswer {
  header: ServerMessage["header"];
  payload_sha256: string;
  user_headers: ServerMessage["user_headers"];
}

const SEGMENTS = ALL
  ? new URL(`file://${iggyDirectory()}/segments-0.9/`)
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
export const WITHOUT_BATCH_SEGMENTS: boolean = reason !== undefined;
/** What the names of such tests end with. */
export const BATCHES_SKIPPED: string = WITHOUT_BATCH_SEGMENTS
  ? ` (skipped: ${reason})`
  : "";

/**
 * Returns the directory of the segments of a name, and what the server answered for their messages.
 */
export function batchServerWrote(
  name: string,
): [source: URL, answers: BatchAnswer[]] {
  const lines = Deno.readTextFileSync(new URL(`${name}.ndjson`, SEGMENTS));
  return [
    new URL(`${name}/`, SEGMENTS),
    lines.trim().split("\n").map((line) => JSON.parse(line, exact)),
  ];
}

/** Keeps ids and checksums as the text that they are in. */
function exact(
  key: string,
  value: unknown,
  context?: { source?: string },
): unknown {
  return key === "id" || key === "checksum" ? context?.source ?? value : value;
}
