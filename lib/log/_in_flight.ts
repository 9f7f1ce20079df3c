import { Driver, type Task } from "../base/mod.ts";

/** Drives one task at a time, which a caller that blocks can finish. */
export class InFlight {
  #driver: { finishSync(): unknown } | undefined;

  /** Starts a task. The previous one must be over. */
  run<T>(task: Task<T>): Promise<T> {
    const driver = new Driver(task);
    this.#driver = driver;
    return driver.promise.finally(() => {
      if (this.#driver === driver) this.#driver = undefined;
    });
  }

  /**
   * Blocks until the task is over. Its failure is reported to its own caller only.
   *
   * @throws {TypeError} If it cannot be finished.
   */
  finishSync(): void {
    const driver = this.#driver;
    this.#driver = undefined;
    try {
      driver?.finishSync();
    } catch (error) {
      if (error instanceof TypeError) throw error;
    }
  }
}
