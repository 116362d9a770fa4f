// Where the hub is, who asks, and where what was downloaded lies: from the environment, as Hugging Face's own tools read it.
// https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export interface HubSettings {
  /** Without a slash at the end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  /** The folder of `models--org--name`. */
  readonly cache: string;
  /** True to take only what is there. */
  readonly isOffline: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The settings of this process, or of another environment. */
export function hubSettings(environment: Environment = process.env): HubSettings {
  const home =
    environment["HF_HOME"] || join(environment["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "huggingface");
  return {
    endpoint: (environment["HF_ENDPOINT"] || "https://huggingface.co").replace(/\/+$/, ""),
    token: tokenOf(environment, home),
    cache: environment["HF_HUB_CACHE"] || environment["HUGGINGFACE_HUB_CACHE"] || join(home, "hub"),
    isOffline: isTrue(environment["HF_HUB_OFFLINE"]),
  };
}

/** From the environment, else from where `hf auth login` puts it. */
function tokenOf(environment: Environment, home: string): string | undefined {
  const given = environment["HF_TOKEN"] || environment["HUGGING_FACE_HUB_TOKEN"];
  if (given) return given.trim() || undefined;
  try {
    return readFileSync(environment["HF_TOKEN_PATH"] || join(home, "token"), "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}

function isTrue(text: string | undefined): boolean {
  return ["1", "true", "yes", "on"].includes((text ?? "").toLowerCase());
}
