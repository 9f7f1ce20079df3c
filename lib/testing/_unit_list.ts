/** A change that a power cut keeps or loses as a whole. */
export interface Unit {
  /** Whether it is durable, and only kept for its place in the order. */
  settled: boolean;
  /** Whether a sync of it failed: later ones do not make it durable. */
  abandoned: boolean;
}

/** Changes in the order in which they were applied; some of them may be durable. */
export class UnitList<T extends Unit> extends Set<T> {
  /** Returns the changes that are not durable, in order. */
  unsettled(): T[] {
    return [...this].filter((unit) => !unit.settled);
  }

  /** Returns the changes that a sync makes durable if it begins now. */
  syncable(): T[] {
    return this.unsettled().filter((unit) => !unit.abandoned);
  }

  /** Removes and returns the durable changes before the first other one. */
  takeSettledHead(): T[] {
    const taken: T[] = [];
    for (const unit of this) {
      if (!unit.settled) break;
      this.delete(unit);
      taken.push(unit);
    }
    return taken;
  }
}

/** Notes that a sync of changes failed: whether they are durable stays unknown. */
export function abandon(units: readonly Unit[]): void {
  for (const unit of units) unit.abandoned = true;
}
