// A certificate is sealed with the hash of its own canonical form, and may be signed. The seal shows damage; only a signature shows
// who vouches for it, as anyone can seal.
import { type KeyObject, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { readFile } from "node:fs/promises";

import { PareError, UsageError, messageOf } from "../errors.js";
import { canonicalJson } from "../support/canonical-json.js";
import { sha256 } from "../support/files.js";
import type { Certificate } from "./certificate.js";

const HOW_TO_MAKE_KEYS =
  "Make a pair with: openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out public.pem";

/** The bytes of `certificate.json`: canonical form and one line end. */
export function certificateText(certificate: Certificate): string {
  return `${canonicalJson(certificate)}\n`;
}

/** Adds the seal, and a signature where there is a key. */
export function sealed(certificate: Certificate, key?: KeyObject): Certificate {
  const withSeal = { ...certificate, seal: sealOf(certificate), signature: undefined };
  if (!key) return withSeal;
  return {
    ...withSeal,
    signature: {
      algorithm: "Ed25519",
      publicKey: publicKeyText(createPublicKey(key)),
      value: sign(null, signedBytes(withSeal), key).toString("base64"),
    },
  };
}

/** What `seal` must be. */
export function sealOf({ seal: _seal, signature: _signature, ...rest }: Certificate): string {
  return sha256(canonicalJson(rest));
}

/** True when the signature is one of this certificate by the key that it names. */
export function isSignatureValid(certificate: Certificate): boolean {
  const { signature } = certificate;
  if (!signature || !isBase64(signature.publicKey) || !isBase64(signature.value)) return false;
  try {
    const key = createPublicKey({ key: Buffer.from(signature.publicKey, "base64"), format: "der", type: "spki" });
    if (key.asymmetricKeyType !== "ed25519" || publicKeyText(key) !== signature.publicKey) return false;
    return verify(null, signedBytes(certificate), key, Buffer.from(signature.value, "base64"));
  } catch {
    return false;
  }
}

/** Reads a private Ed25519 key, PEM. @throws {UsageError} when it is something else */
export function readPrivateKey(path: string): Promise<KeyObject> {
  return readKey(path, "a private", createPrivateKey);
}

/** Reads a public Ed25519 key, PEM. @throws {UsageError} when it is something else */
export function readPublicKey(path: string): Promise<KeyObject> {
  return readKey(path, "a public", createPublicKey);
}

/** SubjectPublicKeyInfo, base64. */
export function publicKeyText(key: KeyObject): string {
  return key.export({ format: "der", type: "spki" }).toString("base64");
}

/** A short name for a public key: the first 16 digits of its SHA-256. */
export function fingerprint(publicKey: string): string {
  return sha256(Buffer.from(publicKey, "base64")).slice(0, 16);
}

async function readKey(path: string, kind: string, create: (pem: Buffer) => KeyObject): Promise<KeyObject> {
  const pem = await readFile(path).catch((cause: unknown) => {
    const isAbsent = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const reason = isAbsent ? "there is no such file" : messageOf(cause);
    throw new PareError(`Cannot read key "${path}": ${reason}`, { hint: HOW_TO_MAKE_KEYS, cause });
  });
  let key: KeyObject;
  try {
    key = create(pem);
  } catch (cause) {
    throw new UsageError(`"${path}" is not ${kind} key in PEM form`, { hint: HOW_TO_MAKE_KEYS, cause });
  }
  if (key.asymmetricKeyType === "ed25519") return key;
  throw new UsageError(`"${path}" holds a key for ${key.asymmetricKeyType}, Ed25519 is wanted`, {
    hint: HOW_TO_MAKE_KEYS,
  });
}

function signedBytes({ signature: _signature, ...rest }: Certificate): Buffer {
  return Buffer.from(canonicalJson(rest));
}

/** Node reads base64 with slack: only what it writes itself counts. */
function isBase64(text: string): boolean {
  return Buffer.from(text, "base64").toString("base64") === text;
}
