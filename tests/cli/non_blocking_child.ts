/**
 * Runs a command, one of whose standard streams is non-blocking, as other programs in a pipeline or
 * a terminal leave them. Usage: `non_blocking_child.ts STREAM COMMAND [ARG...]`.
 */
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

const [stream, command, ...args] = Deno.args;
const fd = Number(stream);
const libc = Deno.dlopen("libc.so.6", {
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
});
const flags = libc.symbols.fcntl(fd, F_GETFL, 0);
if (libc.symbols.fcntl(fd, F_SETFL, flags | O_NONBLOCK) !== 0) Deno.exit(99);
// A process of its own, because the runtime gives its children blocking streams.
const child = new Deno.Command(command!, { args }).spawn();
Deno.exit((await child.status).code);
