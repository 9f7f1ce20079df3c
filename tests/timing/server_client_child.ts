/** Sends requests to a server one after the other, and prints the time of each in milliseconds. */
const [url, count] = Deno.args;
const times: number[] = [];
for (let i = 0; i < Number(count); i++) {
  const start = performance.now();
  await (await fetch(url!)).text();
  times.push(performance.now() - start);
  await new Promise((resolve) => setTimeout(resolve, 2));
}
console.log(JSON.stringify(times));
