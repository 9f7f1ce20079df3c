import type { Task } from "../../base/mod.ts";
import { CorruptSegmentError, type FaultKind } from "../../segment/mod.ts";
import {
  type ClassifiedSegments,
  classifySegments,
} from "../open/_classify.ts";
import {
  listDirectory,
  type Listing,
  metaPath,
  oddName,
  ownerPath,
  refuseNoLog,
} from "../open/directory.ts";
import { type LogFault, logFault } from "./fault.ts";
import { type LogPlace, type MetaRecord, readMeta } from "../record/meta.ts";
import { join } from "../names.ts";
import { refuseOtherOwner } from "../open/opening.ts";
import { type OwnerRecord, readOwnerFile } from "../record/owner_file.ts";

/** What a log's directory holds, for what reads a log that may be damaged. */
export interface LogContents {
  /** Whether a writer had the log open just before the directory was listed. */
  isLocked: boolean;
  /** The names. */
  listing: Listing;
  /** What `meta` says; `undefined` if there is none, or if it is refused. */
  meta: MetaRecord | undefined;
  /** Why `meta` is refused. */
  metaError: Error | undefined;
  /** What the owner file says; `undefined` if there is none, or if it is refused. */
  owner: OwnerRecord | "invalid" | undefined;
  /** Why the owner file is refused, or that it is the one of another log. */
  ownerError: Error | undefined;
  /** The segments by their meaning. */
  segments: ClassifiedSegments;
  /** What is wrong with odd names, `meta`, the owner file and unpaired files. */
  faults: LogFault[];
}

/**
 * Reads a log's directory, but no segment. What is wrong is a fault, not an error.
 *
 * @param withOwner Whether to read the owner file.
 * @throws {Deno.errors.NotFound} If there is no log in the directory.
 */
export function* readContents(
  place: LogPlace,
  withOwner = true,
): Task<LogContents> {
  const { storage, dir } = place;
  const isLocked = storage.isLocked(dir);
  const listing = yield* listDirectory(storage, dir);
  refuseNoLog(dir, listing);
  const faults: LogFault[] = [];
  const report = (kind: FaultKind, path: string, error: unknown): Error => {
    const isRefusal = error instanceof CorruptSegmentError ||
      error instanceof Deno.errors.NotSupported ||
      error instanceof Deno.errors.InvalidData;
    if (!isRefusal) throw error;
    faults.push(logFault({ kind, path, message: error.message }));
    return error;
  };
  for (const each of listing.odd) {
    report("name", join(dir, each.name), oddName(dir, each));
  }
  let meta: MetaRecord | undefined;
  let metaError: Error | undefined;
  let owner: OwnerRecord | "invalid" | undefined;
  let ownerError: Error | undefined;
  try {
    if (listing.hasMeta) meta = yield* readMeta(place);
  } catch (error) {
    metaError = report("meta", metaPath(dir), error);
  }
  try {
    if (withOwner && listing.hasOwner) owner = yield* readOwnerFile(place);
    refuseOtherOwner(dir, meta, owner);
  } catch (error) {
    ownerError = report("owner", ownerPath(dir), error);
  }
  const segments = classifySegments(dir, listing, meta?.firstOffset);
  faults.push(...segments.faults.map(logFault));
  return {
    isLocked,
    listing,
    meta,
    metaError,
    owner,
    ownerError,
    segments,
    faults,
  };
}
