// The studio in a real Chromium: a journal that grows while the page is open, filters, cases, two models at once; desktop and phone, light and dark.
import { tmpdir } from "node:os";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { LOCK } from "../src/fit/workspace.js";
import { type Studio, openStudio } from "../src/studio/studio.js";
import { FolderLock } from "../src/support/folder-lock.js";
import { SCREENS, chromiumPath, launchBrowser, seriousFindings } from "./browser.js";
import { temporaryFolder } from "./command.js";
import { sharedModel } from "./shared.js";

const model = sharedModel("minimind2-small-f16.gguf");
const folder = temporaryFolder();
const out = folder.path("lean");
const journal = join(out, ".pare", "run", "journal.jsonl");
const hostile = "<img src=x onerror=alert(1)>";
let browser: Browser;
let studio: Studio;

const candidates = ["q4_0", "q8_0", "original"].map((name, index) => ({
  id: `c${index}`,
  name,
  isBaseline: name === "original",
  sizeBytes: 1e6 * (index + 1),
  memoryBytes: 2e6 * (index + 1),
}));

function step(key: string, value: unknown): void {
  appendFileSync(journal, `${JSON.stringify({ key, value, seconds: 1 })}\n`);
}

const draw = (id: string, baseline: number, candidate: number) => ({
  id,
  probability: 0.5,
  least: 0.5,
  baseline,
  candidate,
});
const command = `pare fit model.gguf --task ${"a-long-name-".repeat(8)}.jsonl`;
const kept = { mean: 0.5, low: 0.4, high: 0.6 };

/** A fit in the middle of its work: one candidate screened, one selected. */
function beginRun(): void {
  mkdirSync(join(out, ".pare", "run"), { recursive: true });
  const task = folder.path("task.jsonl");
  writeFileSync(
    task,
    `{"id":"a","prompt":"1+1=","expect":"2","scorer":"exact"}\n{"id":"b","prompt":"2+2=","expect":"4","scorer":"exact"}\n`,
  );
  step("plan", {
    command,
    baseline: model ?? "model.gguf",
    task,
    keep: 0.9,
    minimize: "size",
    device: "board",
    candidates,
  });
  step("measure:c0:screening:4", { value: { mean: 0.2, standardError: 0.01, tokens: 100 } });
  step("cases:c1:selection:candidate:0", [
    { score: 1, shown: "2" },
    { score: 0, shown: hostile },
  ]);
  step("measure:c1:selection:16", {
    value: {
      quality: { metric: "score", part: "selection", kept },
      draws: [draw("a", 1, 1), draw("b", 1, 0)],
      baselineShown: { a: "2", b: "4" },
    },
  });
}

describe.skipIf(!chromiumPath)("the studio in Chromium", () => {
  beforeAll(async () => {
    beginRun();
    browser = await launchBrowser();
    studio = await openStudio({ folders: [folder.path("")], port: 0, threads: 1 });
  });
  afterAll(async () => {
    await browser?.close();
    await studio?.[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  async function opened(
    options: BrowserContextOptions,
    look: (page: Page, errors: string[]) => Promise<void>,
  ): Promise<void> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(studio.url);
    await page.locator("#rows tr").first().waitFor();
    await look(page, errors);
    await context.close();
  }

  const views = (["desktop", "phone"] as const).flatMap((screen) =>
    (["light", "dark"] as const).map((scheme) => [screen, scheme] as const),
  );
  test.each(views)(
    "on a %s, %s: nothing serious for axe, no scrolling aside, no error",
    async (screen, colorScheme) => {
      await opened({ ...SCREENS[screen], colorScheme }, async (page, errors) => {
        expect(await seriousFindings(page)).toEqual([]);
        const [content, width] = await page.evaluate<number[]>("[document.documentElement.scrollWidth, innerWidth]");
        expect(content!).toBeLessThanOrEqual(width!);
        expect(errors).toEqual([]);
      });
    },
  );

  test("what a run measures appears while the page is open", async () => {
    await opened(SCREENS.desktop, async (page) => {
      const row = page.locator("#row-c0");
      expect(await row.textContent()).toContain("screened");
      step("measure:c0:confirmation:16", { value: { quality: { metric: "score", part: "confirmation", kept } } });
      await row.getByText("confirmed").waitFor();
      expect(await row.textContent()).toContain("50.0 %");
      expect(await page.locator("#headline").textContent()).toBe("Confirmed q4_0");
    });
  });

  test("a run whose process is gone is interrupted, with the command that goes on", async () => {
    await opened({ ...SCREENS.phone, colorScheme: "dark" }, async (page) => {
      expect(await page.locator("#stamp").textContent()).toBe("Interrupted");
      expect(await page.locator("#reason code").textContent()).toBe(command);
      const [content, width] = await page.evaluate<number[]>("[document.documentElement.scrollWidth, innerWidth]");
      expect(content!).toBeLessThanOrEqual(width!);
      await using lock = await FolderLock.acquire(join(out, LOCK), out);
      await lock.tell("run");
      await page.getByText("Running", { exact: true }).waitFor();
    });
  });

  test("candidates are filtered on the plot and in the table", async () => {
    await opened(SCREENS.desktop, async (page) => {
      await page.fill("#find", "q8");
      expect(await page.locator("#rows tr").count()).toBe(1);
      expect(await page.locator("#plot .point").count()).toBe(1);
      await page.fill("#find", "");
      await page.selectOption("#axis", "divergence");
      expect(await page.locator("#plot .point").getAttribute("aria-label")).toContain("q4_0");
    });
  });

  test("cases show both answers as text, whatever is in them", async () => {
    await opened(SCREENS.phone, async (page, errors) => {
      await page.selectOption("#case-candidate", "c1");
      const lost = page.locator("#case-list article");
      await lost.first().waitFor();
      expect(await lost.count()).toBe(1); // only what was lost
      expect(await lost.textContent()).toContain("2+2=");
      expect(await lost.textContent()).toContain(hostile);
      expect(await page.locator("#case-list img").count()).toBe(0);
      await page.selectOption("#case-kind", "");
      expect(await lost.count()).toBe(2);
      expect(errors).toEqual([]);
    });
  });

  test.skipIf(!model)("two models answer one message side by side", async () => {
    await opened(SCREENS.desktop, async (page, errors) => {
      await page.locator("#model-0 option").first().waitFor({ state: "attached" });
      await page.fill("#message", "Hello");
      await page.click("#send");
      await page.getByRole("button", { name: "Send" }).waitFor({ timeout: 120_000 });
      const answers = page.locator("#talk .answers code");
      expect(await answers.count()).toBe(2);
      for (const answer of await answers.allTextContents()) expect(answer.replace("…", "").length).toBeGreaterThan(0);
      expect(await page.locator("#talk .error").count()).toBe(0);
      expect(errors).toEqual([]);
    });
  });
});

test("the studio listens on this machine alone, and to pages of no other site", async () => {
  await using alone = await openStudio({ folders: [tmpdir()], port: 0 });
  expect(new URL(alone.url).hostname).toBe("127.0.0.1");
  const asked = (headers: Record<string, string>) => fetch(`${alone.url}/api/runs`, { headers });
  expect((await asked({})).status).toBe(200);
  expect((await asked({ origin: "https://elsewhere.example" })).status).toBe(403);
  expect((await fetch(`${alone.url}/api/runs/none/cases`)).status).toBe(404);
  expect((await fetch(`${alone.url}/runs/none/report.html`)).status).toBe(404);
});
