// Where the native engine's libraries lie. llama.cpp and ggml come prebuilt in the npm packages
// `@node-llama-cpp/<platform>`; this file finds the right package and, by pattern, the library files in it. It loads
// nothing, so that it can be tested for every platform on any of them.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { EngineError } from "../errors.js";

/** What computes: the CPU alone, or a GPU through one of ggml's backends. */
export type Backend = "cpu" | "cuda" | "vulkan" | "metal";

export const BACKENDS: readonly Backend[] = ["metal", "cuda", "vulkan", "cpu"]; // the order of preference

/** The version whose ABI `abi.gen.ts` describes; others are refused. */
export const ENGINE_PACKAGE_VERSION = "3.21.1";

/** Package names without scope, by platform and architecture as Node spells them, then by backend. */
const PACKAGES: Record<string, Partial<Record<Backend, string>>> = {
  "linux-x64": { cpu: "linux-x64", cuda: "linux-x64-cuda", vulkan: "linux-x64-vulkan" },
  "linux-arm64": { cpu: "linux-arm64" },
  "darwin-arm64": { cpu: "mac-arm64-metal", metal: "mac-arm64-metal" }, // one package; its CPU library is used alone on request
  "darwin-x64": { cpu: "mac-x64" },
  "win32-x64": { cpu: "win-x64", cuda: "win-x64-cuda", vulkan: "win-x64-vulkan" },
  "win32-arm64": { cpu: "win-arm64" },
};

/** The engine's files on this machine. */
export interface EngineLibraries {
  backend: Backend;
  packageName: string;
  packageVersion: string;
  /** Folder that holds every library; ggml looks for its backends there. */
  folder: string;
  /** Load in this order, each with global symbols. */
  base: string;
  ggml: string;
  llama: string;
}

export interface PlatformQuery {
  platform: NodeJS.Platform;
  architecture: string;
  /** Absent: the best backend whose package is installed. */
  backend?: Backend | undefined;
  /** `node_modules` folders to look in, nearest first. */
  roots: readonly string[];
}

/**
 * Finds the engine's libraries for a platform.
 *
 * @throws {EngineError} when the platform has no package, the package is absent or of another version, or a library in it is missing
 */
export function findEngineLibraries(query: PlatformQuery): EngineLibraries {
  const platform = `${query.platform}-${query.architecture}`;
  const packages = PACKAGES[platform];
  if (!packages) {
    throw new EngineError(`No native engine for ${platform}; there is one for ${Object.keys(PACKAGES).join(", ")}`);
  }
  const wanted = query.backend ? [query.backend] : BACKENDS;
  for (const backend of wanted) {
    const name = packages[backend];
    const folder = name && findPackage(name, query.roots);
    if (name && folder) return librariesIn(folder, `@node-llama-cpp/${name}`, backend);
  }
  throw missingPackage(platform, packages, query.backend);
}

/** Backends whose package is installed, best first. */
export function installedBackends(query: Omit<PlatformQuery, "backend">): Backend[] {
  const packages = PACKAGES[`${query.platform}-${query.architecture}`] ?? {};
  return BACKENDS.filter((backend) => packages[backend] && findPackage(packages[backend], query.roots));
}

function findPackage(name: string, roots: readonly string[]): string | undefined {
  for (const root of roots) {
    const folder = join(root, "@node-llama-cpp", name);
    if (listFolder(folder).includes("package.json")) return folder;
  }
  return undefined;
}

function librariesIn(packageFolder: string, packageName: string, backend: Backend): EngineLibraries {
  const { version } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as { version: string };
  if (version !== ENGINE_PACKAGE_VERSION) {
    throw new EngineError(`${packageName} is version ${version}; Pare needs exactly ${ENGINE_PACKAGE_VERSION}`, {
      hint: `Run: npm install ${packageName}@${ENGINE_PACKAGE_VERSION}`,
    });
  }
  const bins = join(packageFolder, "bins");
  const folder = join(bins, listFolder(bins).find((name) => !name.startsWith("_") && !name.startsWith(".")) ?? "");
  const files = listFolder(folder);
  const find = (stem: string): string => {
    // libllama.v0.4.0.so, libllama.metal.v0.4.0.dylib, llama.v0.4.0.dll; libggml-base.so has no version in its name
    const pattern = new RegExp(`^(?:lib)?${stem}(?:\\.[a-z]+)?(?:\\.v\\d+(?:\\.\\d+)*)?\\.(?:so|dylib|dll)$`);
    const file = files.find((name) => pattern.test(name));
    if (file) return join(folder, file);
    throw new EngineError(`${packageName} holds no ${stem} library in "${folder}"`, {
      hint: "Remove node_modules and run npm ci again",
    });
  };
  return {
    backend,
    packageName,
    packageVersion: version,
    folder,
    base: find("ggml-base"),
    ggml: find("ggml"),
    llama: find("llama"),
  };
}

function missingPackage(platform: string, packages: Partial<Record<Backend, string>>, backend?: Backend): EngineError {
  const offered = Object.keys(packages).join(", ");
  if (backend && !packages[backend]) {
    return new EngineError(`The ${backend} backend has no package for ${platform}; there is one for ${offered}`, {
      hint: `Choose --backend ${Object.keys(packages)[0]}`,
    });
  }
  const name = `@node-llama-cpp/${packages[backend ?? "cpu"]}@${ENGINE_PACKAGE_VERSION}`;
  return new EngineError(`The native engine's package for ${platform} is not installed`, {
    hint: `Run: npm install ${name} (it is an optional dependency; --omit=optional leaves it out)`,
  });
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
