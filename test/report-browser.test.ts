// The report in a real Chromium: opened from disk with the network off, at desktop and phone width, light and dark.
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { renderReport } from "../src/report/report.js";
import { SCREENS, chromiumPath, launchBrowser, seriousFindings } from "./browser.js";
import { acceptCertificate, infeasibleCertificate, needMoreCertificate, someRegressions } from "./certificates.js";
import { temporaryFolder } from "./command.js";

const detail = {
  command: "pare fit model.gguf --text story.txt",
  recipe: "passes: []",
  regressions: someRegressions(),
};
const pages = {
  ACCEPT: renderReport(acceptCertificate(), detail),
  INFEASIBLE: renderReport(infeasibleCertificate(), detail),
  NEED_MORE: renderReport(needMoreCertificate(), detail),
};
const folder = temporaryFolder();
let browser: Browser;

describe.skipIf(!chromiumPath)("the report in Chromium", () => {
  beforeAll(async () => {
    for (const [verdict, page] of Object.entries(pages)) writeFileSync(folder.path(`${verdict}.html`), page);
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    folder[Symbol.dispose]();
  });

  /** Opens a report from disk, offline, and collects what went wrong and what was asked of the network. */
  async function opened(
    verdict: keyof typeof pages,
    screen: keyof typeof SCREENS,
    colorScheme: "light" | "dark",
    look: (page: Page, noted: { errors: string[]; requests: string[] }) => Promise<void>,
  ): Promise<void> {
    const context = await browser.newContext({ ...SCREENS[screen], colorScheme, offline: true });
    const page = await context.newPage();
    const noted = { errors: [] as string[], requests: [] as string[] };
    page.on("pageerror", (error) => noted.errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && noted.errors.push(message.text()));
    page.on("request", (request) => noted.requests.push(request.url()));
    await page.goto(pathToFileURL(folder.path(`${verdict}.html`)).href);
    await look(page, noted);
    await context.close();
  }

  const views = (["ACCEPT", "INFEASIBLE", "NEED_MORE"] as const).flatMap((verdict) =>
    (["desktop", "phone"] as const).flatMap((screen) =>
      (["light", "dark"] as const).map((scheme) => [verdict, screen, scheme] as const),
    ),
  );

  test.each(views)("%s on a %s, %s: nothing serious for axe, no scrolling aside, no error", async (...view) => {
    await opened(...view, async (page, { errors, requests }) => {
      expect(await seriousFindings(page)).toEqual([]);
      const [content, screen] = await page.evaluate<number[]>("[document.documentElement.scrollWidth, innerWidth]");
      expect(content!).toBeLessThanOrEqual(screen!);
      expect(errors).toEqual([]);
      expect(requests).toHaveLength(1); // the file itself
    });
  });

  test("a point of the front says what it is, on touch and by keyboard", async () => {
    await opened("ACCEPT", "desktop", "light", async (page) => {
      await page.locator(".view:not([hidden]) .plot.wide .point[tabindex='0']").focus();
      await page.keyboard.press("ArrowRight");
      expect(await page.locator("#tip").textContent()).toMatch(/MB/);
      await page.keyboard.press("Escape");
      expect(await page.locator("#tip").isVisible()).toBe(false);
    });
  });

  test("trials are found by their standing and sorted by a column", async () => {
    await opened("ACCEPT", "desktop", "light", async (page) => {
      await page.selectOption("#trial-standing", "winner");
      expect(await page.locator("#trial-table tbody tr:visible").count()).toBe(1);
      await page.selectOption("#trial-standing", "");
      await page.getByRole("button", { name: "File size" }).click();
      const sizes = await page
        .locator("#trial-table tbody tr td:nth-child(2)")
        .evaluateAll((cells) => cells.map((cell) => Number(cell.getAttribute("data-key"))));
      expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    });
  });

  test("the axes of the front can be changed", async () => {
    await opened("ACCEPT", "phone", "dark", async (page) => {
      await page.getByText("Latency", { exact: true }).click();
      expect(await page.locator(".view:not([hidden])").getAttribute("data-view")).toMatch(/^latency /);
      expect(await page.locator(".view:not([hidden]) .plot.narrow").isVisible()).toBe(true);
    });
  });

  test("printed, everything is on the page and nothing is dark", async () => {
    await opened("ACCEPT", "desktop", "dark", async (page) => {
      await page.emulateMedia({ media: "print", colorScheme: "dark" });
      expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe("rgb(255, 255, 255)");
      expect(await page.locator("#theme").isVisible()).toBe(false);
    });
  });
});
