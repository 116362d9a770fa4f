// A comparison's page in a real Chromium: from disk with the network off, at desktop and phone width, light and dark.
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { comparisonPage } from "../src/compare/page.js";
import type { ComparedContender, Comparison } from "../src/compare/summarize.js";
import { SCREENS, chromiumPath, launchBrowser, seriousFindings } from "./browser.js";
import { temporaryFolder } from "./command.js";

const hostile = "<img src=x onerror=alert(1)>";
const folder = temporaryFolder();
let browser: Browser;

function contender(name: string, mean: number, fields: Partial<ComparedContender> = {}): ComparedContender {
  return {
    name,
    kind: "file",
    spec: `${name}.gguf`,
    score: { mean, low: Math.max(0, mean - 0.03), high: Math.min(1, mean + 0.03) },
    cases: 298,
    unscored: 2,
    worstTag: { tag: hostile, mean: mean / 2 },
    latencyMs: { median: 420, p95: 1630 },
    firstTextMs: 93,
    promptTokens: 212,
    answerTokens: 31,
    costPer1000: 0.12,
    return: { volume: 1e5, costPerMonth: 12, savingPerMonth: 228, paybackMonths: 4.2 },
    integration: {
      contextLength: 8192,
      tools: true,
      jsonMode: null,
      license: "apache-2.0",
      api: "OpenAI-compatible endpoint",
      fineTuning: null,
    },
    isOnFront: false,
    ...fields,
  };
}

const comparison: Comparison = {
  task: { name: "home-commands", path: "task.jsonl", sha256: "" },
  cases: 300,
  frontBy: "cost",
  contenders: [
    contender("big-cloud-model-with-a-long-name-preview", 0.91, { isOnFront: true }),
    contender("lean", 0.885, { isOnFront: true, difference: { mean: -0.025, low: -0.06, high: 0.01 } }),
    contender("original", 1, { difference: { mean: 0.09, low: 0.05, high: 0.13 } }),
    contender("tiny", 0, { difference: { mean: -0.91, low: -0.94, high: -0.88 } }),
  ],
  notes: [`Answers were scored by a model: https://judge.example.com/v1#${"a-long-name-".repeat(6)}`],
};

describe.skipIf(!chromiumPath)("a comparison in Chromium", () => {
  beforeAll(async () => {
    writeFileSync(folder.path("comparison.html"), comparisonPage(comparison));
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    folder[Symbol.dispose]();
  });

  async function opened(
    screen: keyof typeof SCREENS,
    colorScheme: "light" | "dark",
    look: (page: Page) => Promise<void>,
  ): Promise<string[]> {
    const context = await browser.newContext({ ...SCREENS[screen], colorScheme, offline: true });
    const page = await context.newPage();
    const wrong: string[] = [];
    page.on("pageerror", (error) => wrong.push(String(error)));
    page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
    page.on("request", (request) => request.url().startsWith("file:") || wrong.push(request.url()));
    await page.goto(pathToFileURL(folder.path("comparison.html")).href);
    await look(page);
    await context.close();
    return wrong;
  }

  test.each([
    ["desktop", "light"],
    ["desktop", "dark"],
    ["phone", "light"],
    ["phone", "dark"],
  ] as const)("on a %s, %s: nothing serious for axe, no scrolling aside, no error", async (screen, scheme) => {
    const wrong = await opened(screen, scheme, async (page) => {
      const [content, width] = await page.evaluate<number[]>("[document.documentElement.scrollWidth, innerWidth]");
      expect(content!).toBeLessThanOrEqual(width!);
      expect(await seriousFindings(page)).toEqual([]); // which has to run script, as the page has none
    });
    expect(wrong).toEqual([]);
  });

  test("on a phone, bars are as wide as the page, and the names of rows stay beside what is scrolled to", async () => {
    await opened("phone", "light", async (page) => {
      const bar = await page.locator(".scores svg").first().boundingBox();
      expect(bar!.width).toBeGreaterThan(300);
      await page.evaluate("document.querySelector('.scroll').scrollLeft = 400");
      const name = await page.locator(".all tbody th").first().boundingBox();
      expect(name!.x).toBeGreaterThanOrEqual(0);
    });
  });
});
