/** Accounts as events: two concurrent withdrawals cannot both take the last of the money. */
import { Log, OffsetConflictError } from "@basalt/io";

/** A deposit, or a withdrawal if the amount is negative. */
interface Event {
  account: string;
  amount: number;
}

/** Balances by account, derived from the events in the log. */
class Accounts {
  readonly #log: Log;
  readonly #balances = new Map<string, number>();
  /** Events below this offset are in the balances. */
  #seen = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Reads the events that are not in the balances yet. */
  async #catchUp(): Promise<void> {
    await this.#log.flush();
    for await (const message of this.#log.messages({ from: this.#seen })) {
      if (message.offset < this.#seen) continue; // another call has applied it
      const { account, amount }: Event = JSON.parse(message.text());
      this.#balances.set(account, this.balance(account) + amount);
      this.#seen = message.offset + 1;
    }
  }

  balance(account: string): number {
    return this.#balances.get(account) ?? 0;
  }

  /** Adds an amount, which may be negative. Returns whether the account has enough. */
  async add(account: string, amount: number): Promise<boolean> {
    for (;;) {
      await this.#catchUp();
      if (this.balance(account) + amount < 0) return false;
      const event: Event = { account, amount };
      try {
        // Appended only if no other event has come since the decision.
        await this.#log.appendDurable(JSON.stringify(event), {
          expect: this.#seen,
        });
        return true;
      } catch (error) {
        if (!(error instanceof OffsetConflictError)) throw error;
      }
    }
  }
}

await using log = await Log.open("data/accounts");
const accounts = new Accounts(log);
console.log(await accounts.add("Ada", 100));
console.log(
  await Promise.all([accounts.add("Ada", -80), accounts.add("Ada", -80)]),
);
