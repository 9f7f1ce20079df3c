/** Accounts as events: two withdrawals at the same time cannot both take the last money. */
import { Log, OffsetConflictError } from "@basalt/io";

/** What happened to an account. */
interface Event {
  account: string;
  amount: number;
}

/** Balances by account, and the events from which they follow. */
class Accounts {
  readonly #log: Log;
  readonly #balances = new Map<string, number>();
  /** The offset up to which the events are in the balances. */
  #seen = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Reads the events that are not in the balances yet. */
  async #catchUp(): Promise<void> {
    await this.#log.flush();
    for await (const message of this.#log.messages({ from: this.#seen })) {
      if (message.offset < this.#seen) continue; // another call was faster
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
        // Appended only if no event came after those that the decision is made from.
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
