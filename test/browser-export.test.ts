// The browser export as visitors meet it: on a plain static server, in Chromium, and then without any server.
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { complete } from "../src/evaluate/chat.js";
import { type BrowserManifest, exportBrowser } from "../src/export/browser/export-browser.js";
import { serveFolder } from "../src/export/browser/static-server.js";
import { CHROMIUM, ask, launchBrowser, newPage, takePictures } from "./chromium.js";
import { temporaryFolder } from "./command.js";
import { BUNDLED } from "./serve-fixture.js";

const PROMPT = "turn the kitchen light on";
/** Settles when a newer service worker has all its files and waits. */
const UPDATE_WAITS = `(async () => {
  const registration = await navigator.serviceWorker.ready;
  await registration.update();
  const worker = registration.installing;
  while (registration.waiting === null) await new Promise((resolve) => (worker.onstatechange = resolve));
})()`;
const KEPT_FILES = `caches.open("pare " + location.href)
  .then((cache) => cache.keys())
  .then((requests) => requests.map(({ url }) => url.slice(location.href.length)))`;
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

const folder = temporaryFolder();
const site = folder.path("site");
let wanted: string;

beforeAll(async () => {
  await exportBrowser({ model: BUNDLED, output: site, chunkBytes: 3e6, parity: false });
  wanted = (await complete({ model: BUNDLED, prompt: PROMPT, greedy: true, threads: 1 }).result).text;
});
afterAll(() => folder[Symbol.dispose]());

test("exportBrowser() cuts the model into pieces that together are its file, and drops those of another", async () => {
  const manifest = JSON.parse(readFileSync(join(site, "model.json"), "utf8")) as BrowserManifest;
  expect(manifest.chunks.length).toBeGreaterThan(2);
  const bytes = Buffer.concat(manifest.chunks.map(({ path }) => readFileSync(join(site, path))));
  expect(bytes.equals(readFileSync(BUNDLED))).toBe(true);
  const again = folder.path("again");
  await exportBrowser({ model: BUNDLED, output: again, chunkBytes: 3e6, parity: false });
  await exportBrowser({ model: BUNDLED, output: again, parity: false });
  expect(readdirSync(join(again, "model"))).toHaveLength(1);
});

describe.skipIf(CHROMIUM === undefined)("in Chromium", () => {
  test("the page answers as the command line does, and goes on when the server is gone", async () => {
    await using browser = await launchBrowser();
    await using context = await browser.newContext();
    const { page, complaints } = await newPage(context);
    await using server = await serveFolder(site);
    await page.goto(server.url);
    await page.locator('html[data-state="offline"]').waitFor();
    expect(await page.evaluate("crossOriginIsolated")).toBe(false); // a plain server sends no headers
    await page.getByLabel("Greedy").check();
    expect(await ask(page, PROMPT)).toBe(wanted);
    await takePictures(page, "export");
    await server[Symbol.asyncDispose]();
    await page.reload();
    await page.locator('html[data-state="offline"]').waitFor();
    await page.getByLabel("Greedy").check();
    expect(await ask(page, PROMPT)).toBe(wanted);
    expect(complaints).toEqual([]);
  });

  test("the page answers the same on two threads where the server sends the headers, or the service worker does", async () => {
    await using browser = await launchBrowser();
    await using context = await browser.newContext();
    await context.addInitScript("Object.defineProperty(navigator, 'hardwareConcurrency', { get: () => 4 })");
    const { page, complaints } = await newPage(context);
    for (const headers of [ISOLATED, {}]) {
      await using server = await serveFolder(site, { headers });
      await page.goto(server.url);
      await page.locator('html[data-state="offline"]').waitFor();
      if (Object.keys(headers).length === 0) await page.reload(); // now the service worker answers
      await page.getByText("on 2 threads").waitFor();
      expect(await page.evaluate("crossOriginIsolated")).toBe(true);
      await page.getByLabel("Greedy").check();
      expect(await ask(page, PROMPT)).toBe(wanted);
    }
    expect(complaints).toEqual([]);
  });

  test("a newer export waits for the pages of the older one, and has all that it needs when it opens", async () => {
    const host = folder.path("host");
    cpSync(site, host, { recursive: true });
    const [oldPiece] = (JSON.parse(readFileSync(join(host, "model.json"), "utf8")) as BrowserManifest).chunks;
    await using browser = await launchBrowser();
    await using context = await browser.newContext();
    await using server = await serveFolder(host);
    const first = await openKept(context, server.url);
    await exportBrowser({ model: BUNDLED, output: host, contextLength: 500, parity: false });
    const second = await openKept(context, server.url); // the browser notices
    await second.evaluate(UPDATE_WAITS);
    await second.reload();
    await second.locator('html[data-state="offline"]').waitFor();
    expect(await contextLengthOf(second)).not.toBe(500);
    const status = await first.evaluate(`fetch(${JSON.stringify(oldPiece!.path)}).then(({ status }) => status)`);
    expect(status).toBe(200); // which the server has no more
    await first.getByLabel("Greedy").check();
    expect(await ask(first, PROMPT)).toBe(wanted);

    await first.close();
    await server[Symbol.asyncDispose]();
    await second.reload();
    await second.locator('html[data-state="offline"]').waitFor();
    expect(await contextLengthOf(second)).toBe(500);
    await second.getByLabel("Greedy").check();
    expect(await ask(second, PROMPT)).toBe(wanted);
    expect(await second.evaluate(KEPT_FILES)).not.toContain(oldPiece!.path);
    expect(await second.evaluate("caches.keys().then(({ length }) => length)")).toBe(2);
  });

  test("a damaged piece of the model is told and not kept, and a new chat forgets", async () => {
    await using browser = await launchBrowser();
    await using context = await browser.newContext();
    const { page } = await newPage(context);
    const [damaged] = (JSON.parse(readFileSync(join(site, "model.json"), "utf8")) as BrowserManifest).chunks;
    await using server = await serveFolder(site);
    await page.route(`**/${damaged!.path}`, (route) => route.fulfill({ body: Buffer.alloc(damaged!.sizeBytes) }));
    await page.goto(server.url);
    await page.getByText(`${damaged!.path} came damaged`).waitFor();
    await page.unroute(`**/${damaged!.path}`);
    await page.reload();
    await page.locator("html[data-state]").waitFor();
    await ask(page, PROMPT);
    await page.getByRole("button", { name: "New chat" }).click();
    expect(await page.locator(".turn").count()).toBe(0);
  });
});

/** A page of the exported folder that has all it needs to open again. */
async function openKept(context: BrowserContext, url: string): Promise<Page> {
  const { page } = await newPage(context);
  await page.goto(url);
  await page.locator('html[data-state="offline"]').waitFor();
  return page;
}

function contextLengthOf(page: Page): Promise<unknown> {
  return page.evaluate('fetch("model.json").then((response) => response.json()).then((model) => model.contextLength)');
}
