// Who takes part in a comparison: `model.gguf`, `https://host/v1#model`, or either with a name of its own before it, `lean=model.gguf`.
import { basename } from "node:path";

import { UsageError } from "../errors.js";
import { addressOf } from "../evaluate/endpoint/endpoint.js";

export type Contender = { name: string; spec: string } & (
  | { kind: "file"; path: string }
  | { kind: "endpoint"; url: string; model: string }
);

/**
 * Reads what contenders were given as.
 *
 * @throws {UsageError} when there is none, or two have one name
 */
export function readContenders(specs: readonly string[]): Contender[] {
  if (specs.length === 0)
    throw new UsageError("Nothing to compare is given", { hint: "Name GGUF files and endpoints" });
  const contenders = specs.map(readContender);
  const repeated = contenders.find(({ name }, index) => contenders.findIndex((one) => one.name === name) < index);
  if (!repeated) return contenders;
  throw new UsageError(`Two contenders are called "${repeated.name}"`, { hint: "Name one: other=model.gguf" });
}

function readContender(spec: string): Contender {
  const [, given, rest] = /^(?:([^=/:#]+)=)?(.+)$/su.exec(spec) ?? [];
  if (rest === undefined) throw new UsageError(`"${spec}" is neither a file nor the address of an endpoint`);
  if (!/^https?:\/\//u.test(rest)) {
    return { kind: "file", spec, path: rest, name: given ?? basename(rest).replace(/\.gguf$/u, "") };
  }
  const [url, model = ""] = rest.split("#", 2) as [string, string?];
  const { host } = addressOf(url);
  return { kind: "endpoint", spec, url, model, name: given ?? (model === "" ? host : model) };
}
