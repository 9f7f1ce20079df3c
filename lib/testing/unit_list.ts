/** Changes in the order in which they were carried out, some of them durable already. */
export class UnitList<Unit extends { settled: boolean }> extends Set<Unit> {
  /** Those that are not durable, in order. */
  unsettled(): Unit[] {
    return [...this].filter((unit) => !unit.settled);
  }

  /** Removes those at the beginning that are durable: nothing before them is in doubt. */
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
