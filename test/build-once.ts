// Builds dist/ once before the tests: jobs in child processes and the `pare` command run from there.
import { execFileSync } from "node:child_process";

export default function setup(): void {
  if (process.env["PARE_SKIP_BUILD"]) return; // dist/ is known to be fresh
  execFileSync("npm", ["run", "--silent", "build"], { stdio: "inherit", shell: process.platform === "win32" });
}
