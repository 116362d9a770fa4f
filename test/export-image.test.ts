// The exports that carry Pare along, as npm and Docker would take them: installed from npm's cache without a network, and started by the
// very words of the files that were written. Docker's own part – the base image, users, the container's borders – is left out.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

import { afterAll, expect, test } from "vitest";
import { parse } from "yaml";

import { complete } from "../src/evaluate/chat.js";
import { exportDocker } from "../src/export/docker/export-docker.js";
import { exportNode } from "../src/export/node/export-node.js";
import { temporaryFolder } from "./command.js";
import { BUNDLED } from "./serve-fixture.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose](), 180_000); // two installations

const QUESTION = "turn the kitchen light on";
const VERSION = /-\d+\.\d+\.\d+/;
const KEY = "sk-0123456789abcdef";

/** Installs without a network. @returns false where npm's cache lacks a package */
function install(cwd: string, command: string): boolean {
  const env = { ...process.env, npm_config_offline: "true" };
  const { status, stderr } = spawnSync(command, { cwd, env, shell: true, encoding: "utf8" });
  if (status !== 0 && !stderr.includes("ENOTCACHED")) throw new Error(`${command}: ${stderr}`);
  return status === 0;
}

test("exportNode()'s program is installed and answers as the command line does, whatever the registry has", async (context) => {
  const output = folder.path("program");
  mkdirSync(output);
  writeFileSync(join(output, "pare-0.0.9.tgz"), "an older export's");
  const { path, commands } = await exportNode({ model: BUNDLED, output });
  expect(commands[0]).toBe(`npm install --prefix ${output}`);
  const code = readFileSync(path, "utf8").split("\n");
  expect(code.filter((line) => line !== "" && !line.startsWith("//")).length).toBeLessThanOrEqual(10);
  const files = readdirSync(output).map((name) => name.replace(VERSION, ""));
  expect(files.sort()).toEqual(["chat.mjs", "model.gguf", "package-lock.json", "package.json", "pare.tgz"]);
  const { dependencies } = JSON.parse(readFileSync(join(output, "package.json"), "utf8")) as { dependencies: object };
  expect(dependencies).toEqual({ pare: expect.stringMatching(/^file:pare-[\d.]+\.tgz$/) });
  if (!install(output, commands[0]!)) return context.skip("npm's cache lacks a package: run npm ci");
  const { stdout, stderr } = spawnSync(process.execPath, [path, QUESTION], { encoding: "utf8" });
  const { text } = await complete({ model: BUNDLED, prompt: QUESTION, greedy: true }).result;
  expect([stdout, stderr]).toEqual([`${text}\n`, ""]);

  // The Pare that was installed exports itself in turn.
  const main = join(output, "node_modules/pare/dist/cli/main.js");
  const again = folder.path("again");
  expect(spawnSync(process.execPath, [main, "export", "node", join(output, "model.gguf"), again]).status).toBe(0);
  const packed = readdirSync(output).find((name) => name.endsWith(".tgz"))!;
  expect(readFileSync(join(again, packed)).equals(readFileSync(join(output, packed)))).toBe(true);
});

test("exportDocker()'s image serves its model, to those with the compose file's key", async (context) => {
  const output = folder.path("image");
  const { name } = await exportDocker({ model: BUNDLED, output: relative(".", output), contextLength: 256 });
  const files = readdirSync(output).map((one) => one.replace(VERSION, ""));
  expect(files.sort()).toEqual([
    "Dockerfile",
    "compose.yaml",
    "model.gguf",
    "package-lock.json",
    "package.json",
    "pare.tgz",
  ]);
  const image = readImage(output);
  const service = readService(output, name);
  const root = folder.path("root");
  for (const [files, target] of image.copies) {
    const into = join(root, target.startsWith("/") ? target : join(image.folder, target));
    const isFolder = target.endsWith("/");
    mkdirSync(isFolder ? into : join(into, ".."), { recursive: true });
    for (const file of files) copyFileSync(join(output, file), isFolder ? join(into, file) : into);
  }
  const cwd = join(root, image.folder);
  if (!install(cwd, image.run)) return context.skip("npm's cache lacks a package: run npm ci");
  const [program, ...words] = image.command.map((word) => word.replace("/models/", `${root}/models/`));
  const env = { ...process.env, ...image.environment, ...substituted(service.environment, { PARE_API_KEY: KEY }) };
  const child = spawn(program!, anyPort(words), { cwd, env, stdio: ["ignore", "pipe", "ignore"] });
  try {
    const url = (await firstLine(child)).replace("0.0.0.0", "127.0.0.1");
    const ask = (key: string): Promise<Response> =>
      fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    expect((await ask("sk-of-nobody-at-all")).status).toBe(401);
    expect(await (await ask(KEY)).json()).toMatchObject({ data: [{ id: name }] });
    const [checker, ...check] = image.healthCheck.map((word) => word.replace("http://127.0.0.1:8080", url));
    expect(spawnSync(checker!, check).status).toBe(0);
  } finally {
    child.kill("SIGTERM");
  }
  expect(service.ports).toEqual(["127.0.0.1:8080:8080"]);
});

interface Image {
  folder: string;
  environment: Record<string, string>;
  copies: [files: string[], target: string][];
  run: string;
  healthCheck: string[];
  command: string[];
}

/** Reads as much of a Dockerfile as the export writes. @throws {Error} at any other line */
function readImage(output: string): Image {
  const image: Image = { folder: "/", environment: {}, copies: [], run: "", healthCheck: [], command: [] };
  const listed = (text: string): string[] => JSON.parse(text) as string[];
  for (const line of readFileSync(join(output, "Dockerfile"), "utf8").split("\n")) {
    const [, word = "", rest = ""] = /^(\S+) (.*)$/.exec(line) ?? [];
    if (word === "WORKDIR") image.folder = rest;
    else if (word === "ENV") Object.assign(image.environment, Object.fromEntries([rest.split("=")]));
    else if (word === "COPY") image.copies.push(copyOf(output, rest.replace("--chown=node:node ", "").split(" ")));
    else if (word === "RUN") image.run = rest.split(" && ")[0]!; // what is behind empties npm's cache
    else if (word === "HEALTHCHECK") image.healthCheck = listed(rest.slice(rest.indexOf("[")));
    else if (word === "ENTRYPOINT" || word === "CMD") image.command.push(...listed(rest));
    else if (!["", "#", "FROM", "USER", "EXPOSE"].includes(word)) throw new Error(`Unknown line: ${line}`);
  }
  return image;
}

function copyOf(output: string, words: readonly string[]): [files: string[], target: string] {
  const patterns = words.slice(0, -1);
  const files = readdirSync(output).filter((file) => patterns.some((pattern) => isMeant(file, pattern)));
  expect(files.length).toBeGreaterThanOrEqual(patterns.length);
  return [files, words.at(-1)!];
}

function isMeant(file: string, pattern: string): boolean {
  return pattern.startsWith("*") ? file.endsWith(pattern.slice(1)) : file === pattern;
}

interface Service {
  ports: string[];
  environment: Record<string, string>;
}

function readService(output: string, name: string): Service {
  const compose = parse(readFileSync(join(output, "compose.yaml"), "utf8")) as { services: Record<string, Service> };
  return compose.services[name]!;
}

/** `${NAME:-otherwise}`, as compose files have it. */
function substituted(environment: Record<string, string>, given: Record<string, string>): Record<string, string> {
  const value = (text: string): string =>
    text.replaceAll(/\$\{(\w+):-([^}]*)\}/g, (_, name: string, otherwise: string) => given[name] ?? otherwise);
  return Object.fromEntries(Object.entries(environment).map(([name, text]) => [name, value(text)]));
}

/** The container has a port of its own; this machine may have given it away. */
function anyPort(words: readonly string[]): string[] {
  return words.map((word, i) => (words[i - 1] === "--port" ? "0" : word));
}

function firstLine({ stdout }: ChildProcess): Promise<string> {
  let text = "";
  return new Promise((resolve, reject) => {
    stdout!.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      if (text.includes("\n")) resolve(text.split("\n")[0]!);
    });
    stdout!.once("end", () => reject(new Error(`It ended: ${text}`)));
  });
}
