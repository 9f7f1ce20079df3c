/**
 * A program whose log is in a directory that does not exist yet. Prints how many messages it has.
 */
const [module, directory] = Deno.args;
const { Log } = await import(module!);
await using log = await Log.open(directory);
await log.appendDurable("hello");
console.log(log.durableOffset);
