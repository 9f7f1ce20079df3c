/** A change that a power cut keeps or loses as a whole. */
export interface Unit {
  /** Whether it is durable, and only kept for its place in the order. */
  settled: boolean;
  /** Whether a sync of it failed: later ones do not make it durable. */
  abandoned: boolean;
}

/** A state, and which of the changes that led to it are durable. */
export abstract class UnsyncedState<State, U extends Unit> {
  /** The state that calls see. */
  readonly current: State;
  /** The durable state, without the settled changes that are still listed. */
  protected readonly base: State;
  /** The changes that are not in the base yet, in order. */
  protected units: U[] = [];

  constructor(base: State, current: State) {
    this.base = base;
    this.current = current;
  }

  /** Returns a copy of a state that changes independently. */
  protected abstract copyOf(state: State): State;

  /** Makes a change. */
  protected abstract change(state: State, unit: U): void;

  /** Returns whether the order of two changes makes no difference. */
  protected abstract commute(later: U, earlier: U): boolean;

  /** Returns whether a change leaves nothing of an earlier one. */
  protected abstract covers(later: U, earlier: U): boolean;

  /** Returns the changes that are not durable yet, in order. */
  unsynced(): U[] {
    return this.units.filter((unit) => !unit.settled);
  }

  /** Returns the changes that a sync makes durable if it begins now. */
  syncable(): U[] {
    return this.unsynced().filter((unit) => !unit.abandoned);
  }

  /** Makes changes that calls see from now on. */
  apply(units: readonly U[]): void {
    for (const unit of units) {
      this.change(this.current, unit);
      this.units.push(unit);
    }
  }

  /** Makes changes durable that were applied. */
  settle(units: readonly U[]): void {
    for (const unit of units) unit.settled = true;
    let kept: U[] = [];
    for (const unit of this.units) {
      if (unit.settled) {
        kept = kept.filter((earlier) => !this.covers(unit, earlier));
        if (kept.every((earlier) => this.commute(unit, earlier))) {
          this.change(this.base, unit);
          continue;
        }
      }
      kept.push(unit);
    }
    this.units = kept;
  }

  /**
   * Returns the state after a power cut.
   *
   * @param outcomeOf Returns the change that is left of one that is not durable, if any.
   * @param inFlight Changes that have not been applied.
   */
  protected replayed(
    outcomeOf: (unit: U) => U | undefined,
    inFlight: readonly U[] = [],
  ): State {
    const state = this.copyOf(this.base);
    for (const unit of [...this.units, ...inFlight]) {
      const left = unit.settled ? unit : outcomeOf(unit);
      if (left !== undefined) this.change(state, left);
    }
    return state;
  }
}

/** Notes that a sync of changes failed: whether they are durable stays unknown. */
export function abandon(units: readonly Unit[]): void {
  for (const unit of units) unit.abandoned = true;
}
