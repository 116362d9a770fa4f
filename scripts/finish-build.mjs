// Last step of the build: makes the command executable, and keeps the versions of the dependencies that this Pare was tested with, as
// exports install it with those (src/export/own-package.ts).
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";

const command = new URL("../dist/cli/main.js", import.meta.url);
if (existsSync(command)) chmodSync(command, 0o755);

const { packages } = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8"));
const used = Object.entries(packages).filter(([path, { dev }]) => path !== "" && !dev);
writeFileSync(new URL("../dist/dependencies-lock.json", import.meta.url), JSON.stringify(Object.fromEntries(used)));
