/** Changes in the order in which they were carried out, some of them durable already. */
export class UnitList<Unit extends { settled: boolean }> {
  /** In order of insertion; each once. */
  readonly #units: Set<Unit> = new Set();

  /** Appends one. */
  add(unit: Unit): void {
    this.#units.add(unit);
  }

  /** Whether it is in the list. */
  has(unit: Unit): boolean {
    return this.#units.has(unit);
  }

  /** Takes one out. */
  remove(unit: Unit): void {
    this.#units.delete(unit);
  }

  /** All, in order. */
  [Symbol.iterator](): IterableIterator<Unit> {
    return this.#units.values();
  }

  /** Those that are not durable, in order. */
  unsettled(): Unit[] {
    return [...this.#units].filter((unit) => !unit.settled);
  }

  /** Takes out those at the beginning that are durable: nothing before them is in doubt. */
  takeSettledHead(): Unit[] {
    const taken: Unit[] = [];
    for (const unit of this.#units) {
      if (!unit.settled) break;
      this.#units.delete(unit);
      taken.push(unit);
    }
    return taken;
  }
}
