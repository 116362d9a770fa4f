// A chat page's HTML, for keyboards, screen readers and phones too. Who answers decides what stands in its head and at its end.

/** The parts of a page that differ. All are HTML. */
export interface ChatMarkup {
  readonly title: string;
  /** Styles and what else belongs in the head. */
  readonly head: string;
  /** Between the title and the button for a new chat. */
  readonly controls: string;
  /** Above the conversation. */
  readonly notice?: string;
  readonly scripts: string;
}

export function chatMarkup({ title, head, controls, notice = "", scripts }: ChatMarkup): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
${head}
</head>
<body>
<header>
<h1>${title}</h1>
${controls}
<button type="button" id="clear">New chat</button>
</header>
${notice}<main role="log" aria-live="polite" aria-label="Conversation"></main>
<form>
<label for="message" class="who">Message</label>
<textarea id="message" rows="1" placeholder="Message" autofocus></textarea>
<button class="main" id="send">Send</button>
</form>
${scripts}
</body>
</html>
`;
}
