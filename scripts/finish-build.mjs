// Last step of the build: makes the command executable.
import { chmodSync, existsSync } from "node:fs";

const command = new URL("../dist/cli/main.js", import.meta.url);
if (existsSync(command)) chmodSync(command, 0o755);
