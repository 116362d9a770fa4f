// `index.html` and `style.css` of the exported folder: the server's chat page with another program behind it.
import { chatMarkup } from "../../serve/page/markup.js";
import { STYLE } from "../../serve/page/style.js";

/** The page may run its own files, WebAssembly and workers made of them, and ask its own host, and nothing else. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' blob: 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "connect-src 'self' blob:",
  "style-src 'self'",
  "img-src 'self'",
  "manifest-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
].join("; ");

export function browserPage(name: string): string {
  return chatMarkup({
    title: escaped(name),
    head: `<meta http-equiv="content-security-policy" content="${POLICY}">
<meta name="referrer" content="no-referrer">
<link rel="stylesheet" href="style.css">
<link rel="icon" href="icon.svg" type="image/svg+xml">
<link rel="manifest" href="app.webmanifest">`,
    controls: `<label class="note"><input type="checkbox" id="greedy"> Greedy</label>`,
    notice: `<div class="status"><p id="state" role="status" class="note">Loading</p><progress value="0" max="1" aria-label="Loading the model"></progress></div>
`,
    scripts: `<noscript>This page runs the model in your browser, which needs JavaScript.</noscript>
<script type="module" src="app.js"></script>`,
  });
}

export const BROWSER_STYLE = `${STYLE.trimStart()}h1 { flex-basis: 8rem; }
input[type="checkbox"] { accent-color: var(--accent); width: 1.1rem; height: 1.1rem; vertical-align: -0.15rem; }
.status { width: 100%; max-width: 46rem; margin: 0 auto; padding: 0.5rem 1rem 0; }
.status p { margin: 0; min-height: 1.5em; }
progress { width: 100%; height: 0.5rem; accent-color: var(--accent); }
`;

/** The web app's manifest, by which a phone offers to install the page. */
export function webManifest(name: string): string {
  const icon = { src: "icon.svg", sizes: "any", type: "image/svg+xml" };
  return `${JSON.stringify({ name, short_name: name.slice(0, 24), start_url: "./", display: "standalone", icons: [icon] }, null, 2)}\n`;
}

export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b57d0"/><path d="M8 8h16a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2h-9l-5 5v-5H8a2 2 0 0 1-2-2v-9a2 2 0 0 1 2-2z" fill="#fff"/></svg>
`;

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (letter) => `&#${letter.codePointAt(0)};`);
}
