import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { ENGINE_PACKAGE_VERSION, findEngineLibraries, installedBackends } from "./platform.js";

/** A node_modules folder that holds empty files where the package would hold libraries. */
function layOut(packageName: string, folder: string, files: string[], version = ENGINE_PACKAGE_VERSION): string {
  const root = mkdtempSync(join(tmpdir(), "pare-platform-"));
  const bins = join(root, "@node-llama-cpp", packageName, "bins", folder);
  mkdirSync(bins, { recursive: true });
  writeFileSync(join(root, "@node-llama-cpp", packageName, "package.json"), JSON.stringify({ version }));
  for (const file of files) writeFileSync(join(bins, file), "");
  return root;
}

const LAYOUTS = [
  [
    "linux",
    "x64",
    "linux-x64",
    ["libggml-base.so", "libggml.v0.4.0.so", "libllama.v0.4.0.so", "libllama-common.so", "libggml-cpu-haswell.so"],
  ],
  [
    "linux",
    "arm64",
    "linux-arm64",
    ["libggml-base.so", "libggml.v0.4.0.so", "libllama.v0.4.0.so", "libggml-cpu-armv8.2_1.so"],
  ],
  [
    "darwin",
    "x64",
    "mac-x64",
    ["libggml-base.dylib", "libggml.v0.4.0.dylib", "libllama.v0.4.0.dylib", "libggml-blas.so"],
  ],
  [
    "darwin",
    "arm64",
    "mac-arm64-metal",
    ["libggml-base.dylib", "libggml.metal.v0.4.0.dylib", "libllama.metal.v0.4.0.dylib", "libggml-metal.so"],
  ],
  ["win32", "x64", "win-x64", ["ggml-base.dll", "ggml.v0.4.0.dll", "llama.v0.4.0.dll", "ggml-cpu-haswell.dll"]],
  ["win32", "arm64", "win-arm64", ["ggml-base.dll", "ggml.v0.4.0.dll", "llama.v0.4.0.dll"]],
] as const;

test.each(LAYOUTS)(
  "findEngineLibraries() finds base, ggml and llama on %s %s",
  (platform, architecture, packageName, files) => {
    const root = layOut(packageName, packageName, [...files]);
    const found = findEngineLibraries({ platform, architecture, roots: ["/nowhere", root] });
    const names = [found.base, found.ggml, found.llama].map((path) => path.split(/[\\/]/).at(-1));
    expect(names).toEqual(files.slice(0, 3));
    expect(found.packageVersion).toBe(ENGINE_PACKAGE_VERSION);
  },
);

test("findEngineLibraries() prefers a GPU package that is installed and obeys a named backend", () => {
  const files = ["libggml-base.so", "libggml.v0.4.0.so", "libllama.v0.4.0.so"];
  const roots = [layOut("linux-x64", "linux-x64", files), layOut("linux-x64-cuda", "linux-x64-cuda", files)];
  const query = { platform: "linux", architecture: "x64", roots } as const;
  expect(findEngineLibraries(query).backend).toBe("cuda");
  expect(findEngineLibraries({ ...query, backend: "cpu" }).packageName).toBe("@node-llama-cpp/linux-x64");
  expect(installedBackends(query)).toEqual(["cuda", "cpu"]);
});

test("findEngineLibraries() refuses another version and says how to get the right one", () => {
  const root = layOut("linux-x64", "linux-x64", ["libggml-base.so"], "3.22.0");
  expect(() => findEngineLibraries({ platform: "linux", architecture: "x64", roots: [root] })).toThrow(
    /is version 3\.22\.0; Pare needs exactly/,
  );
});

test("findEngineLibraries() names the library that a damaged package lacks", () => {
  const root = layOut("linux-x64", "linux-x64", ["libggml-base.so", "libggml.v0.4.0.so"]);
  expect(() => findEngineLibraries({ platform: "linux", architecture: "x64", roots: [root] })).toThrow(
    /holds no llama library/,
  );
});

test("findEngineLibraries() refuses a platform or backend without a package", () => {
  expect(() => findEngineLibraries({ platform: "freebsd", architecture: "x64", roots: [] })).toThrow(
    /No native engine for freebsd-x64/,
  );
  expect(() => findEngineLibraries({ platform: "linux", architecture: "arm64", backend: "metal", roots: [] })).toThrow(
    /no package for linux-arm64/,
  );
  expect(() => findEngineLibraries({ platform: "linux", architecture: "x64", roots: [] })).toThrow(/is not installed/);
});
