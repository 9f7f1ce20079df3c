/** Segments that real Iggy servers wrote, and their replies when these were polled. */
import { ALL } from "../permissions.ts";
import { iggyDirectory, type ServerMessage } from "./_server.ts";

/** The reply of a server up to 0.8 for a message. Numbers above 2^53 are texts. */
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

/**
 * The reply of a server with the batch format. Ids and checksums are above 2^53, so they are texts.
 */
export interface BatchAnswer {
  header: ServerMessage["header"];
  payload_sha256: string;
  user_headers: ServerMessage["user_headers"];
}

/** The segments of one format. */
class Recorded<T> {
  /** Whether they are missing here. Tests with them are ignored then. */
  readonly isMissing: boolean;
  /** The suffix of the names of such tests. */
  readonly skipped: string;
  readonly #directory: URL | undefined;

  constructor(name: string) {
    this.#directory = ALL
      ? new URL(`file://${iggyDirectory()}/${name}/`)
      : undefined;
    const reason = this.#reasonMissing();
    this.isMissing = reason !== undefined;
    this.skipped = this.isMissing ? ` (skipped: ${reason})` : "";
  }

  /** Returns the directory of the segments with a name, and the replies for their messages. */
  read(name: string): [source: URL, answers: T[]] {
    const lines = Deno.readTextFileSync(
      new URL(`${name}.ndjson`, this.#directory),
    );
    return [
      new URL(`${name}/`, this.#directory),
      lines.trim().split("\n").map((line) => JSON.parse(line, exact)),
    ];
  }

  #reasonMissing(): string | undefined {
    if (this.#directory === undefined) return "not all permissions";
    try {
      Deno.statSync(this.#directory);
      return undefined;
    } catch {
      return `${this.#directory.pathname} is missing`;
    }
  }
}

/** Keeps ids and checksums in their text form. */
function exact(
  key: string,
  value: unknown,
  context?: { source?: string },
): unknown {
  const isLarge = key === "id" || key === "checksum";
  return isLarge && typeof value === "number" ? context?.source : value;
}

export const SEGMENTS: Recorded<Answer> = new Recorded("segments");
export const BATCH_SEGMENTS: Recorded<BatchAnswer> = new Recorded(
  "segments-0.9",
);
