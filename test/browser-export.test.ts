// The browser export as visitors meet it: on a plain static server, in Chromium, and then without any server.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { complete } from "../src/evaluate/chat.js";
import { type BrowserManifest, exportBrowser } from "../src/export/browser/export-browser.js";
import { serveFolder } from "../src/export/browser/static-server.js";
import { CHROMIUM, ask, launchBrowser, newPage, takePictures } from "./chromium.js";
import { temporaryFolder } from "./command.js";
import { BUNDLED } from "./serve-fixture.js";

const PROMPT = "turn the kitchen light on";
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
