// The server's chat page in Chromium: it answers, stops, asks for a key, and obeys its own content-security policy.
import { writeFileSync } from "node:fs";

import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";

import { complete } from "../src/evaluate/chat.js";
import { CHROMIUM, ask, launchBrowser, newPage, takePictures } from "./chromium.js";
import { temporaryFolder } from "./command.js";
import { BUNDLED, startServer } from "./serve-fixture.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const PROMPT = "turn the kitchen light on";
const KEY = "a-key-of-some-length";

describe.skipIf(CHROMIUM === undefined)("in Chromium", () => {
  test("the page shows the model's answer, and a new chat forgets it", async () => {
    await using server = await startServer();
    await using browser = await launchBrowser();
    await using context = await browser.newContext();
    const { page, complaints } = await newPage(context);
    await askGreedily(page);
    await page.goto(server.url);
    await optionOf(page, "home");
    const { text } = await complete({ model: BUNDLED, prompt: PROMPT, greedy: true, threads: 1 }).result;
    expect(await ask(page, PROMPT)).toBe(text);
    await takePictures(page, "serve");
    await page.getByRole("button", { name: "New chat" }).click();
    expect(await page.locator(".turn").count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test("Stop ends an answer that would not end, and what was said stays", async () => {
    using folder = temporaryFolder();
    const endless = folder.path("endless.gguf");
    await writeSyntheticModel(endless, {
      contextLength: 65_536, // no machine writes as much before Stop is pressed
      endless: true,
      chatTemplate: "{{ messages[0].content }}",
    });
    await using server = await startServer({ models: `endless=${endless}`, parallel: 1 });
    await using browser = await launchBrowser();
    await using context = await browser.newContext();
    const { page } = await newPage(context);
    await page.goto(server.url);
    await optionOf(page, "endless");
    await page.getByLabel("Message").fill("the rain");
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator(".turn.assistant:not(.waiting)").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Send" }).waitFor();
    expect((await page.locator(".turn.assistant").textContent())!.length).toBeGreaterThan("Model: ".length);
    expect(await page.locator(".turn.error").count()).toBe(0);
  });

  test("the page asks for a key where the server wants one", async () => {
    using folder = temporaryFolder();
    writeFileSync(folder.path("keys.txt"), `someone ${KEY}\n`);
    await using server = await startServer({ apiKeyFile: folder.path("keys.txt") });
    await using browser = await launchBrowser();
    await using context = await browser.newContext();
    const { page } = await newPage(context);
    await page.goto(server.url);
    await page.getByLabel("API key").fill(KEY);
    await page.getByLabel("API key").press("Tab");
    await optionOf(page, "home");
    await takePictures(page, "serve-key");
    expect(await ask(page, PROMPT)).not.toBe("");
  });
});

/** The page samples as the server does; here its requests ask for the likeliest tokens. */
async function askGreedily(page: Page): Promise<void> {
  await page.route("**/v1/chat/completions", (route) => {
    const request = route.request().postDataJSON() as Record<string, unknown>;
    return route.continue({ postData: JSON.stringify({ ...request, temperature: 0 }) });
  });
}

function optionOf(page: Page, name: string): Promise<void> {
  return page.getByRole("option", { name }).waitFor({ state: "attached" });
}
