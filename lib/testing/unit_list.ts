/** Changes in the order in which they were applied; some of them may be durable. */
export class UnitList<Unit extends { settled: boolean }> extends Set<Unit> {
  /** Returns the changes that are not durable, in order. */
  unsettled(): Unit[] {
    return [...this].filter((unit) => !unit.settled);
  }

  /** Removes and returns the durable changes before the first other one. */
  takeSettledHead(): Unit[] {
    const taken: Unit[] = [];
    for (const unit of this) {
      if (!unit.settled) break;
      this.delete(unit);
      taken.push(unit);
    }
    return taken;
  }
}
