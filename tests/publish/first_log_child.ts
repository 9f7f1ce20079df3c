/** A program whose log is in a directory that is not there yet; prints how many messages it has. */
const [module, directory] = Deno.args;
const { Log } = await import(module!);
await using log = await Log.open(directory);
await log.appendDurable("hello");
console.log(log.durableOffset);
