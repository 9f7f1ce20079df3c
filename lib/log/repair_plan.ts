import type { OpeningReport } from "./opening.ts";

/** One thing that repairing does to a log, beside what opening does by itself. */
export type RepairStep =
  | {
    /** A `.log` is cut where its first bad batch begins. */
    action: "cut";
    /** The `.log`. */
    path: string;
    /** Where it is cut, in bytes. */
    position: number;
    /** Bytes that the log loses. */
    byteLength: number;
    /** Valid messages among them. */
    messages: number;
    /** Where these bytes are kept; `undefined` if they are space that was prepared for messages. */
    kept: string | undefined;
  }
  | {
    /**
     * A whole file leaves the log, because what comes before it ends too early, or too late: it
     * gets another name.
     */
    action: "setAside";
    /** The file. */
    path: string;
    /** Its bytes. */
    byteLength: number;
    /** Valid messages in it. */
    messages: number;
    /** Its new name. */
    kept: string;
  }
  | {
    /** An `.index` that does not agree with its log is written again. Nothing is lost. */
    action: "rebuildIndex";
    /** The `.index`. */
    path: string;
  }
  | {
    /** `meta` is damaged, or starts the log before its oldest segment: it is made again. */
    action: "replaceMeta";
    /** The `meta`. */
    path: string;
    /** Where the log starts. */
    firstOffset: number;
  }
  | {
    /** No segment is left: an empty one is made, so that the log goes on where it started. */
    action: "createSegment";
    /** The `.log`. */
    path: string;
    /** Where the log starts. */
    firstOffset: number;
  };

/** What repairing a log does, and what the log loses by it. */
export interface RepairPlan {
  /** The directory. */
  path: string;
  /** Whether there is anything to do. */
  needed: boolean;
  /** What is done, in this order. */
  steps: RepairStep[];
  /** Valid messages that the log loses; they stay in the files that are kept. */
  lostMessages: number;
  /**
   * Bytes that the log loses: those messages, and what is damaged; they stay in the files that are
   * kept.
   */
  lostBytes: number;
  /** What opening, which ends the repair, puts in order by itself. */
  opening: OpeningReport;
  /** The offset of the log's first message, afterwards. */
  firstOffset: number;
  /** The offset that the next message gets, afterwards. */
  nextOffset: number;
}

/**
 * The log is not any more what the plan was made for: nothing was done.
 *
 * @example A plan for what the log was before
 * ```ts
 * import { Log, planRepair, repairLog, RepairOutdatedError } from "@basalt/io";
 * import { assertRejects } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   log.append("one");
 * }
 * const plan = await planRepair(dir);
 * {
 *   await using log = await Log.open(dir);
 *   log.append("two");
 * }
 * await assertRejects(() => repairLog(dir, plan), RepairOutdatedError);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class RepairOutdatedError extends Error {
  /** `"RepairOutdatedError"`. */
  override readonly name: string = "RepairOutdatedError";
  /** The directory. */
  readonly path: string;
  /** What would be done now. */
  readonly plan: RepairPlan;

  /** Makes the error. */
  constructor(path: string, plan: RepairPlan) {
    super(
      `Cannot repair '${path}' as planned: it has changed since; look at the new plan first`,
    );
    this.path = path;
    this.plan = plan;
  }
}
