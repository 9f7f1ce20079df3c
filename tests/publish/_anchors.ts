/** Anchors of Markdown pages. */

/** Finds the anchors of a page's headings, as GitHub and JSR create them. */
export function headingAnchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replace(/[^\w\s-]/g, "").replaceAll(" ", "-")
  );
}

/** Finds the anchors that a page sets at its rules: `<a id="write-roll"></a>`. */
export function ruleAnchors(markdown: string): string[] {
  return [...markdown.matchAll(/<a id="([\w-]+)"><\/a>/g)].map(([, id]) => id!);
}
