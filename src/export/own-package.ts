// The Pare that runs, as an npm package beside an export, with the versions of its dependencies that it was tested with: what is
// exported goes on with the very version that wrote it, whatever a registry has under that name.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rename, rm } from "node:fs/promises";
import { join, resolve as resolvePath } from "node:path";
import { fileURLToPath } from "node:url";

import { PareError } from "../errors.js";
import { writeFailure, writeFileAtomic } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";

const OWN_FOLDER = fileURLToPath(new URL("../..", import.meta.url));

interface OwnManifest {
  name: string;
  version: string;
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  engines: Record<string, string>;
  bin: Record<string, string>;
}

/**
 * Writes `pare-VERSION.tgz` and the `package.json` and `package-lock.json` that `npm ci` installs it by.
 *
 * @param name of the model; a package can't be called like one that it needs
 * @throws {PareError} when Pare is not built, or there is no npm
 */
export async function placeOwnPackage(folder: string, name: string, options: RunOptions = {}): Promise<void> {
  const own = JSON.parse(await readFile(join(OWN_FOLDER, "package.json"), "utf8")) as OwnManifest;
  const locked = JSON.parse(await readBuilt("dependencies-lock.json")) as Record<string, unknown>;
  const file = `${own.name}-${own.version}.tgz`;
  await packInto(folder, { own, file }, options);
  const integrity = `sha512-${createHash("sha512")
    .update(await readFile(join(folder, file)))
    .digest("base64")}`;
  const manifest = {
    name: `${name}-program`,
    private: true,
    type: "module",
    dependencies: { [own.name]: `file:${file}` },
  };
  const { version, dependencies, optionalDependencies, engines, bin } = own;
  const packages = {
    "": { name: manifest.name, dependencies: manifest.dependencies },
    [`node_modules/${own.name}`]: {
      version,
      resolved: `file:${file}`,
      integrity,
      dependencies,
      optionalDependencies,
      engines,
      bin,
    },
    ...locked,
  };
  await writeJson(join(folder, "package.json"), manifest);
  await writeJson(join(folder, "package-lock.json"), {
    name: manifest.name,
    lockfileVersion: 3,
    requires: true,
    packages,
  });
}

async function readBuilt(name: string): Promise<string> {
  const path = join(OWN_FOLDER, "dist", name);
  return await readFile(path, "utf8").catch((cause: unknown) => {
    throw new PareError(`Cannot pack Pare: there is no "${path}"`, { hint: "Run: npm run build", cause });
  });
}

/** Packages of earlier versions are removed. */
async function packInto(
  folder: string,
  { own, file }: { own: OwnManifest; file: string },
  options: RunOptions,
): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    const packing = await mkdtemp(join(folder, ".packing-"));
    try {
      await runNpmPack(packing, options);
      const older = new RegExp(`^${own.name}-\\d[\\w.+-]*\\.tgz$`);
      for (const name of (await readdir(folder)).filter((one) => older.test(one))) await rm(join(folder, name));
      await rename(join(packing, file), join(folder, file));
    } finally {
      await rm(packing, { recursive: true, force: true });
    }
  } catch (cause) {
    if (cause instanceof PareError || options.signal?.aborted) throw cause;
    throw writeFailure(folder, cause);
  }
}

/** The destination goes by the environment, as Windows starts npm through a shell, where a path would have to be quoted. */
function runNpmPack(destination: string, { signal }: RunOptions): Promise<void> {
  const env = { ...process.env, npm_config_pack_destination: resolvePath(destination) };
  const options = { cwd: OWN_FOLDER, env, stdio: ["ignore", "ignore", "pipe"] as ["ignore", "ignore", "pipe"] };
  return new Promise((resolve, reject) => {
    const child = spawn("npm", ["pack", "--ignore-scripts", "--loglevel=error"], {
      ...options,
      shell: process.platform === "win32",
      ...(signal === undefined ? {} : { signal }),
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-2000)));
    const fail = (reason: string): void =>
      reject(new PareError(`Cannot pack Pare: ${reason}`, { hint: "npm, which comes with Node, must be in the PATH" }));
    child.once("error", (error) => (signal?.aborted ? reject(signal.reason as Error) : fail(error.message)));
    child.once("close", (code) => (code === 0 ? resolve() : fail(reasonIn(said) || `npm ended with ${code}`)));
  });
}

/** npm says a code first, and then what it is. */
function reasonIn(said: string): string {
  return said
    .replaceAll(/^npm error /gm, "")
    .trim()
    .split("\n")
    .slice(0, 4)
    .join("; ");
}

function writeJson(path: string, document: object): Promise<void> {
  return writeFileAtomic(path, `${JSON.stringify(document, null, 2)}\n`);
}
