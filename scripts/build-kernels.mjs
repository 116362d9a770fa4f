// Compiles the WebAssembly kernels, unless all are newer than every source.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCES = "kernels/assembly";
const KERNELS = { round: [], codebook: ["--importMemory"], argmax: [] };
const OPTIONS = ["-O3", "--noAssert", "--runtime", "stub", "--enable", "simd", "--disableWarning", "112"];

const script = fileURLToPath(import.meta.url);
process.chdir(join(script, "../.."));
const files = readdirSync(SOURCES, { recursive: true }).map((file) => join(SOURCES, file));
const newest = Math.max(...[script, ...files].map(changedAt));
for (const [name, options] of Object.entries(KERNELS)) {
  const output = `dist/kernels/${name}.wasm`;
  if (changedAt(output) > newest) continue;
  const { main } = await import("assemblyscript/asc"); // takes as long to load as most kernels to compile
  const words = [`${SOURCES}/${name}.ts`, "--outFile", output, ...OPTIONS, ...options];
  const { error, stderr } = await main(words);
  if (!error) continue;
  console.error(`${stderr}`);
  process.exit(1);
}

function changedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? -Infinity;
}
