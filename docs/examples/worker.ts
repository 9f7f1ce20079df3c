/** Does each job at least once, even if the program dies in between. */
import { Log } from "@basalt/io";

interface Job {
  to: string;
}

let attempts = 0;

/** Sends a mail. Fails at times, as servers do. */
function send({ to }: Job): Promise<void> {
  if (++attempts === 2) return Promise.reject(new Error("server is busy"));
  console.log(`sent to ${to}`);
  return Promise.resolve();
}

/** Retries a job until it succeeds, with growing delays. */
async function perform(job: Job): Promise<void> {
  for (let delayMs = 10;; delayMs = Math.min(2 * delayMs, 60_000)) {
    try {
      return await send(job);
    } catch (error) {
      console.log(`${job.to}: ${(error as Error).message}, trying again`);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}

/** Does the jobs from where the last run stopped. */
async function work(log: Log): Promise<void> {
  // Without `follow: false` it would wait for later jobs.
  await using cursor = await log.cursor("mailer", { follow: false });
  for await (using batch of cursor) {
    for (const message of batch) await perform(JSON.parse(message.text()));
    await cursor.commit(batch.nextOffset); // durable when it resolves
  }
}

await using log = await Log.open("data/jobs");
for (const to of ["Ada", "Grace", "Barbara"]) {
  log.append(JSON.stringify({ to }));
}
await log.flush(); // one sync for all of them
await work(log);
await work(log); // nothing is left
