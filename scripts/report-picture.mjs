// Takes the picture of a report that the README shows: report.html through a Chromium that is installed here.
//
//   node scripts/report-picture.mjs REPORT.html [docs/report.png] [--width 1280] [--height 1400] [--dark]
//
// The README's picture, of a model and a task that come with Pare (NAME is theirs: spam-filter):
//
//   npm run build && node dist/cli/main.js fit models/NAME.gguf --task models/NAME.task.jsonl --device raspberry-pi-5 --keep 95% --out out/readme
//   node scripts/report-picture.mjs out/readme/report.html docs/report.png
//
// CHROMIUM names the program where it is not in the PATH.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    width: { type: "string", default: "1280" },
    height: { type: "string", default: "1400" },
    dark: { type: "boolean", default: false },
  },
});
const [report, picture = "docs/report.png"] = positionals;
if (!report || !existsSync(report)) throw new Error("Name the report: node scripts/report-picture.mjs REPORT.html");

const profile = mkdtempSync(join(tmpdir(), "report-picture-"));
try {
  execFileSync(
    findChromium(),
    [
      "--headless",
      "--no-sandbox", // the page is our own, and root may run this
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--hide-scrollbars",
      `--user-data-dir=${profile}`,
      `--window-size=${values.width},${values.height}`,
      ...(values.dark ? ["--blink-settings=preferredColorScheme=0"] : []),
      `--screenshot=${resolve(picture)}`,
      pathToFileURL(resolve(report)).href,
    ],
    { stdio: "ignore" },
  );
  if (!existsSync(picture)) throw new Error(`Chromium wrote no "${picture}"`);
} finally {
  rmSync(profile, { recursive: true, force: true });
}
console.log(picture);

function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      execFileSync(name, ["--version"], { stdio: "ignore" });
      return name;
    } catch {
      // the next one
    }
  }
  throw new Error("Found no Chromium; install one or name it: CHROMIUM=/path/to/chromium");
}
