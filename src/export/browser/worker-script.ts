// `sw.js` of the exported folder: opens the page without a network. Each export's page has a cache of its own; pieces of the model are
// named by their content, and all exports share theirs, which `engine.js` fills on the first visit. A newer export waits until no page
// of the older one is open: a page that is loading finds every file that it began with, whatever the host has by then.

/** Files of an export by what becomes of them. */
export interface KeptFiles {
  /** Fetched anew when the export changes. */
  readonly shell: readonly string[];
  /** Named by their content: kept from one export to the next where they are the same. */
  readonly others: readonly string[];
  /** Changes with the export, so that browsers notice. */
  readonly version: string;
}

export function workerScript({ shell, others, version }: KeptFiles): string {
  return `const PIECES = "pare " + registration.scope;
const PAGE = PIECES + " ${version}";
const places = (paths) => new Set(paths.map((path) => new URL(path, registration.scope).href));
const SHELL = places(${JSON.stringify(shell)});
const NAMED_BY_CONTENT = places(${JSON.stringify(others)});

addEventListener("install", (event) => event.waitUntil(install()));
addEventListener("activate", (event) => event.waitUntil(activate()));
addEventListener("message", (event) => event.data === "take over" && skipWaiting());
addEventListener("fetch", (event) => {
  const place = placeOf(event.request);
  if (event.request.method !== "GET") return;
  if (SHELL.has(place)) event.respondWith(event.request.mode === "navigate" ? open(event.request, place) : answer(PAGE, event.request, place));
  else if (NAMED_BY_CONTENT.has(place)) event.respondWith(answer(PIECES, event.request, place));
});

/** The file that is asked for; whatever else lies on the same host is none of ours. */
function placeOf({ url }) {
  const file = url.split(/[?#]/)[0];
  return file === registration.scope + "index.html" ? registration.scope : file;
}

/** On the first visit the page fetches the model itself and shows how far it is; an update is there only with all that it needs. */
async function install() {
  const page = await caches.open(PAGE);
  await page.addAll([...SHELL].map((place) => new Request(place, { cache: "reload" })));
  if (registration.active) for (const place of NAMED_BY_CONTENT) await keepPiece(place);
}

async function keepPiece(place) {
  const pieces = await caches.open(PIECES);
  if (await pieces.match(place)) return;
  const response = await fetch(place, { cache: "no-cache" });
  const bytes = await response.arrayBuffer();
  if (!response.ok || !place.includes(await hashOf(bytes))) throw new Error(place + " is missing on the server, or came damaged");
  await pieces.put(place, new Response(bytes)).catch(() => undefined); // no room left: the page fetches it when it opens
}

/** As many digits as names have. */
async function hashOf(bytes) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).slice(0, 8);
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Drops what earlier exports left; no page of theirs is open any more. */
async function activate() {
  for (const name of await caches.keys()) if (name.startsWith(PIECES + " ") && name !== PAGE) await caches.delete(name);
  const pieces = await caches.open(PIECES);
  for (const request of await pieces.keys()) if (!NAMED_BY_CONTENT.has(request.url)) await pieces.delete(request);
  await clients.claim();
}

/** Opens the page; of a newer export where one waits and the page that this one replaces is the last. */
async function open(request, place) {
  const { waiting } = registration;
  if (waiting === null || (await clients.matchAll()).length > 1) return answer(PAGE, request, place);
  waiting.postMessage("take over");
  return new Response("", { headers: { "content-type": "text/html", refresh: "0" } });
}

async function answer(name, request, place) {
  const cache = await caches.open(name);
  return isolated((await cache.match(place)) ?? (await fetch(request)));
}

/** With these two headers browsers allow threads, also where the host can't be told to send them. */
function isolated(response) {
  if (response.status === 0) return response; // a redirect, which browsers follow by themselves
  const headers = new Headers(response.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
`;
}
