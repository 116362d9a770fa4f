// `sw.js` of the exported folder: opens the page without a network. The model is kept by `engine.js`, in the same cache.

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
  return `// Export ${version}
const CACHE = "pare " + registration.scope;
const SHELL = ${JSON.stringify(shell)};
const KEPT = new Set([...SHELL, ...${JSON.stringify(others)}].map((path) => new URL(path, registration.scope).href));

addEventListener("install", (event) => event.waitUntil(install()));
addEventListener("activate", (event) => event.waitUntil(activate()));
addEventListener("fetch", (event) => {
  const place = placeOf(event.request);
  if (event.request.method === "GET" && KEPT.has(place)) event.respondWith(answer(event.request, place));
});

/** The file that is asked for; whatever else lies on the same host is none of ours. */
function placeOf({ url }) {
  const file = url.split(/[?#]/)[0];
  return file === registration.scope + "index.html" ? registration.scope : file;
}

async function install() {
  const cache = await caches.open(CACHE);
  await cache.addAll(SHELL.map((path) => new Request(path, { cache: "reload" })));
  await skipWaiting();
}

/** Drops what an earlier export left. */
async function activate() {
  const cache = await caches.open(CACHE);
  for (const request of await cache.keys()) if (!KEPT.has(request.url)) await cache.delete(request);
  await clients.claim();
}

async function answer(request, place) {
  const cache = await caches.open(CACHE);
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
