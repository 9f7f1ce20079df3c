/** Whether a subject of a stream, which may have wildcards, takes in another subject. */
export function takesIn(pattern: string, subject: string): boolean {
  const wanted = pattern.split(".");
  const tokens = subject.split(".");
  for (const [i, token] of wanted.entries()) {
    if (token === ">") return tokens.length > i;
    if (token !== "*" && token !== tokens[i]) return false;
  }
  return wanted.length === tokens.length;
}

/**
 * Checks that a text is the subject of messages, without wildcards.
 *
 * @throws {TypeError} If it is not.
 */
export function checkSubject(subject: string): void {
  const isSubject = typeof subject === "string" &&
    /^[^\s*>.]+(\.[^\s*>.]+)*$/.test(subject);
  if (isSubject) return;
  throw new TypeError(
    `Cannot use subject ${
      Deno.inspect(subject)
    }: it must be one subject without wildcards, such as "edge.7"`,
  );
}
