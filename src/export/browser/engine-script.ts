// `engine.js` of the exported folder: fetches the model, keeps it, and generates. It has no page, so that tests and parity
// checks use it as the page does.
export const ENGINE_SCRIPT = `import { Template } from "./jinja.js";
import { LoggerWithoutDebug, Wllama } from "./wllama.js";

/** Fetches all that is needed, or takes it from where it was kept, and loads it. onProgress is told bytes. */
export async function openModel(onProgress = () => {}) {
  const store = await openStore();
  const manifest = JSON.parse(await (await download("model.json")).text()); // the service worker has this page's own
  const chunks = [];
  let done = 0;
  for (const { path, sizeBytes, sha256 } of manifest.chunks) {
    chunks.push(await store.file(path, { sha256, onBytes: (bytes) => onProgress(done + bytes, manifest.sizeBytes) }));
    done += sizeBytes;
    onProgress(done, manifest.sizeBytes);
  }
  const wasm = { "single-thread/wllama.wasm": await store.url(manifest.wasm.singleThread) };
  if (globalThis.crossOriginIsolated) wasm["multi-thread/wllama.wasm"] = await store.url(manifest.wasm.multiThread);
  const wllama = new Wllama(wasm, { logger: { ...LoggerWithoutDebug, log() {}, warn() {} }, suppressNativeLog: true });
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
  await wllama.loadModel([new Blob(chunks)], { n_ctx: manifest.contextLength, seed });
  // The build with threads too: a page that the service worker serves has threads, and may then be offline.
  const isKept = await store.file(manifest.wasm.multiThread).then(() => store.isKept, () => false);
  return new Model(wllama, manifest, isKept);
}

class Model {
  #wllama;
  /** Tokens whose keys and values are in the engine's cache. */
  #cached = [];

  constructor(wllama, manifest, isKept) {
    this.#wllama = wllama;
    this.manifest = manifest;
    this.isKept = isKept;
    this.threads = wllama.getNumThreads();
  }

  /** The answer so far, again and again until it ends. */
  async *generate(messages, { greedy = false, signal } = {}) {
    const tokens = await this.#tokens(messages);
    const room = this.manifest.contextLength;
    if (tokens.length >= room) throw new Error("The conversation is longer than the model's context of " + room + " tokens. Start a new chat.");
    await this.#wllama.samplingInit(greedy ? { temp: 0 } : this.manifest.sampling);
    await this.#prefill(tokens, signal);
    const decoder = new TextDecoder();
    let text = "";
    while (!signal?.aborted) {
      const { token, piece } = await this.#wllama.samplingSample();
      if (this.#wllama.isTokenEOG(token)) return;
      text += decoder.decode(piece, { stream: true });
      yield text;
      if (this.#cached.length >= room) return;
      await this.#wllama.samplingAccept([token]);
      await this.#decode([token]);
    }
  }

  /** The likeliest token after each token of a text. */
  async topTokens(tokens) {
    await this.#keep(0);
    const top = [];
    for (const token of tokens) {
      await this.#decode([token]);
      const [first] = await this.#wllama.getLogits(1);
      top.push(first.token);
    }
    return top;
  }

  async #tokens(messages) {
    const { template, bosText, eosText } = this.manifest;
    const text = template === null
      ? messages.at(-1).content
      : new Template(template).render({ messages, add_generation_prompt: true, bos_token: bosText, eos_token: eosText, tools: null });
    const tokens = await this.#wllama.tokenize(text, true);
    const bos = this.#wllama.getBOS();
    return this.#wllama.mustAddBosToken() && tokens[0] !== bos ? [bos, ...tokens] : tokens;
  }

  /** Computes what is not in the cache, the last token in any case, a piece at a time so that Stop is heard. */
  async #prefill(tokens, signal) {
    let same = 0;
    while (same < tokens.length - 1 && tokens[same] === this.#cached[same]) same++;
    await this.#keep(same);
    for (let start = same; start < tokens.length && !signal?.aborted; start += 64) {
      await this.#decode(tokens.slice(start, start + 64));
    }
  }

  async #keep(count) {
    if (count < this.#cached.length) await this.#wllama.kvRemove(count, -1);
    this.#cached.length = Math.min(count, this.#cached.length);
  }

  async #decode(tokens) {
    await this.#wllama.decode(tokens, {});
    this.#cached.push(...tokens);
  }
}

/** Files that are named by their content, from the browser's store where it has them. It exists on https and localhost alone; elsewhere all is fetched anew. */
async function openStore() {
  const cache = await globalThis.caches?.open("pare " + new URL("./", location.href).href).catch(() => undefined);
  const store = {
    isKept: cache !== undefined,
    async file(path, { sha256, onBytes } = {}) {
      const kept = await cache?.match(path);
      if (kept) return kept.blob();
      const blob = await download(path, onBytes);
      if (sha256 && crypto.subtle && (await hashOf(blob)) !== sha256) throw new Error(path + " came damaged. Reload to fetch it again.");
      await cache?.put(path, new Response(blob)).catch(() => (store.isKept = false)); // no room left
      return blob;
    },
    async url(path) {
      return URL.createObjectURL(new Blob([await store.file(path)], { type: "application/wasm" }));
    },
  };
  return store;
}

async function download(path, onBytes = () => {}) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(path + " is missing on the server (status " + response.status + "). Reload, as there may be a newer export.");
  const parts = [];
  let bytes = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return new Blob(parts);
    parts.push(value);
    onBytes((bytes += value.byteLength));
  }
}

async function hashOf(blob) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
`;
