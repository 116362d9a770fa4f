// The studio's page: one file, nothing from elsewhere, in the report's dress.
import { createHash } from "node:crypto";

import { STYLE } from "../../report/style.js";
import { SCRIPT } from "./script.js";
import { STUDIO_STYLE } from "./style.js";

const DRESS = STYLE + STUDIO_STYLE;

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pare studio</title>
<style>${DRESS}</style>
</head>
<body>
<a class="skip" href="#main">To the run</a>
<div class="top">
<strong>Pare</strong> <span>studio</span> <span id="state" role="status">connecting</span>
<nav aria-label="Sections"><a href="#front">Front</a><a href="#candidates">Candidates</a><a href="#cases">Cases</a><a href="#chat">Chat</a></nav>
<button type="button" id="theme">Dark</button>
</div>
<main id="main">
<section id="runs" aria-label="Runs"><ul id="run-list"></ul><p id="no-runs" hidden>No run yet. Start one with <code>pare fit</code> and it appears here.</p></section>
<div id="run" hidden>
<header class="verdict" id="verdict">
<p class="stamp"><strong id="stamp"></strong> <code id="run-folder"></code></p>
<h1 id="headline"></h1>
<p class="reason" id="reason"></p>
<p class="terms" id="terms"></p>
</header>
<section id="front">
<h2>The front</h2>
<div class="filters">
<label>Find <input type="search" id="find" autocomplete="off"></label>
<label>Standing <select id="standing"><option value="">all</option></select></label>
<label>At most <input type="range" id="largest" min="0" max="100" value="100"> <output id="largest-text"></output></label>
<label>Up <select id="axis"><option value="kept">quality kept</option><option value="divergence">KL divergence</option></select></label>
<output id="shown" aria-live="polite"></output>
</div>
<figure><svg id="plot" class="live-plot" role="group" aria-label="Candidates by size and quality"></svg><div id="tip" role="status" hidden></div></figure>
</section>
<section id="candidates">
<h2>Candidates</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Table of candidates">
<table><thead><tr><th scope="col">Candidate</th><th scope="col" class="number">Size</th><th scope="col" class="number">Divergence</th><th scope="col" class="number">Quality kept</th><th scope="col" class="number">Cases</th><th scope="col">Standing</th></tr></thead><tbody id="rows"></tbody></table>
</div>
</section>
<section id="cases">
<h2>Cases</h2>
<div class="filters">
<label>Of <select id="case-candidate"></select></label>
<label>Show <select id="case-kind"><option value="lost">lost</option><option value="won">won</option><option value="">all</option></select></label>
<label>Find <input type="search" id="case-find" autocomplete="off"></label>
<output id="case-count" aria-live="polite"></output>
</div>
<div id="case-list"></div>
<button type="button" id="more-cases" hidden>More</button>
</section>
</div>
<section id="chat">
<h2>Side by side</h2>
<div class="pair">
<label>Left <select id="model-0"></select></label>
<label>Right <select id="model-1"></select></label>
</div>
<div id="talk" role="log" aria-live="polite" aria-label="Conversation" tabindex="0"></div>
<form id="ask"><label for="message" class="unseen">Message</label><textarea id="message" rows="2" placeholder="Message to both"></textarea><button id="send">Send</button> <button type="button" id="fresh">New chat</button></form>
</section>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;

/** The page may run its own script and ask this server, and nothing else. */
export const STUDIO_HEADERS = {
  "content-security-policy": [
    "default-src 'none'",
    `script-src '${hashOf(SCRIPT)}'`,
    `style-src '${hashOf(DRESS)}'`,
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

export function studioPage(): string {
  return PAGE;
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
