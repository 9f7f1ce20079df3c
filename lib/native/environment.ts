/**
 * Returns a variable of the environment; `undefined` where it is empty, or reading it is not
 * permitted. There is no prompt.
 */
export function environment(name: string): string | undefined {
  const permission = Deno.permissions.querySync({
    name: "env",
    variable: name,
  });
  if (permission.state !== "granted") return undefined;
  return Deno.env.get(name) || undefined;
}
