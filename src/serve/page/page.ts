// A plain page to chat on, at `/`: one file, nothing from elsewhere, for keyboards, screen readers and phones too.
import { createHash } from "node:crypto";

import { SCRIPT } from "./script.js";
import { STYLE } from "./style.js";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pare</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Pare</h1>
<label for="model" class="note">Model</label> <select id="model"></select>
<label for="key" class="note" hidden>API key</label> <input id="key" type="password" autocomplete="off" hidden>
<button type="button" id="clear">New chat</button>
</header>
<main role="log" aria-live="polite" aria-label="Conversation"></main>
<form>
<label for="message" class="who">Message</label>
<textarea id="message" rows="1" placeholder="Message" autofocus></textarea>
<button class="main" id="send">Send</button>
</form>
<script>${SCRIPT}</script>
</body>
</html>
`;

/** The page may run its own script and ask this server, and nothing else. */
export const PAGE_HEADERS = {
  "content-security-policy": [
    "default-src 'none'",
    `script-src '${hashOf(SCRIPT)}'`,
    `style-src '${hashOf(STYLE)}'`,
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
};

export function chatPage(): string {
  return PAGE;
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
