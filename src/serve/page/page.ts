// A plain page to chat on, at `/`: one file, nothing from elsewhere, for keyboards, screen readers and phones too.
import { createHash } from "node:crypto";

import { chatMarkup } from "./markup.js";
import { SCRIPT } from "./script.js";
import { STYLE } from "./style.js";

const PAGE = chatMarkup({
  title: "Pare",
  head: `<style>${STYLE}</style>`,
  controls: `<label for="model" class="note">Model <select id="model"></select></label>
<label for="key" class="note" hidden>API key <input id="key" type="password" autocomplete="off" hidden></label>`,
  scripts: `<script>${SCRIPT}</script>`,
});

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
