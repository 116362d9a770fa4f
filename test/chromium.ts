// Chromium for tests of pages. Where there is none they are skipped, visibly.
import { type Browser, type BrowserContext, type Page, chromium } from "playwright-core";

import { findBrowser } from "../src/export/browser/find-browser.js";

/** Path of Chromium or Chrome, or undefined where there is none. */
export const CHROMIUM = await findBrowser();

/** A browser without a window, closed when it goes out of scope. */
export async function launchBrowser(): Promise<AsyncDisposable & { newContext: Browser["newContext"] }> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
  return {
    newContext: (options) => browser.newContext(options),
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

/** A new page, and what it complains of: errors on its console, exceptions, requests that failed. */
export async function newPage(context: BrowserContext): Promise<{ page: Page; complaints: string[] }> {
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  return { page, complaints };
}

/** Writes a message, waits for the answer's end, and gives its text. */
export async function ask(page: Page, message: string): Promise<string> {
  await page.getByLabel("Message").fill(message);
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator('main[aria-busy="false"] .turn.assistant').last().waitFor();
  return (await page.locator(".turn.assistant span:last-child").last().textContent()) ?? "";
}

/** With PARE_SCREENSHOTS, pictures of the page are put into that folder: wide, and on a phone. */
export async function takePictures(page: Page, name: string): Promise<void> {
  const folder = process.env["PARE_SCREENSHOTS"];
  if (folder === undefined) return;
  for (const [device, width, height] of [
    ["desktop", 1280, 800],
    ["phone", 390, 844],
  ] as const) {
    await page.setViewportSize({ width, height });
    await page.screenshot({ path: `${folder}/${name}-${device}.png` });
  }
}
