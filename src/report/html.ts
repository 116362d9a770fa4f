// HTML as values: a template that escapes everything put into it. Names of models, cases and files are a stranger's text.

/** Markup that is safe to insert as it is. Made only by {@link html} and {@link trusted}. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand in a template: markup is kept, text is escaped, nothing and false leave no trace, lists are joined. */
export type Content = Html | string | number | null | undefined | false | readonly Content[];

/** Markup from a template; every inserted text is escaped. */
export function html(strings: TemplateStringsArray, ...contents: Content[]): Html {
  return new Html(strings.reduce((text, part, i) => text + render(contents[i - 1]) + part));
}

/** Declares text of our own (a style sheet, a script) to be markup. Never for text that comes from outside. */
export function trusted(text: string): Html {
  return new Html(text);
}

/**
 * Text for element content and quoted attributes.
 *
 * Control characters and those that reverse the reading direction become U+FFFD, so that a name can't disguise itself.
 */
export function escapeText(text: string): string {
  return text
    .replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (character) => (/[\t\n]/.test(character) ? character : "\ufffd"))
    .replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function render(content: Content): string {
  if (content === null || content === undefined || content === false) return "";
  if (content instanceof Html) return content.text;
  if (typeof content === "string") return escapeText(content);
  if (typeof content === "number") return String(content);
  return content.map(render).join("");
}
