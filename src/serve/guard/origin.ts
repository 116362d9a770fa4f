// What a browser may do here. A page of another site can send requests to any address that its visitor's machine reaches, this
// server's too; the browser says which page it was. Unless that site was allowed, nothing is done for it.
import type { MiddlewareHandler } from "hono";

import type { ServeEnv } from "../context.js";
import { RequestError } from "../failure.js";

const USUAL_HEADERS = "authorization, content-type, x-pare-task"; // clients add their own, such as OpenAI's x-stainless-os

/**
 * Lets in what comes from this server's own page, from programs, and from sites that are allowed.
 *
 * @param options.allowed origins such as `https://example.com`, or `*` for all
 * @param options.isLoopback the server is bound to this machine alone, so requests must name it: a site whose name was made to
 *   point here afterwards does not
 */
export function guardOrigin({
  allowed,
  isLoopback,
}: {
  allowed: readonly string[];
  isLoopback: boolean;
}): MiddlewareHandler<ServeEnv> {
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    if (isLoopback && !isLoopbackName(host))
      throw new RequestError(403, `This server is not called "${host}"`, { code: "wrong_host" });
    const origin = c.req.header("origin");
    const isOwn = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
    const isAllowed = !isOwn && (allowed.includes("*") || allowed.includes(origin));
    if (!isOwn && !isAllowed) {
      throw new RequestError(403, `Pages of ${origin} may not use this server`, {
        code: "origin_not_allowed",
        hint: "Allow them with --cors",
      });
    }
    if (!isAllowed) return next();
    c.header("access-control-allow-origin", origin);
    c.header("vary", "origin");
    c.header("access-control-expose-headers", "retry-after, x-pare-task, x-request-id");
    if (c.req.method !== "OPTIONS") return next();
    c.header("access-control-allow-methods", "GET, POST");
    c.header("access-control-allow-headers", c.req.header("access-control-request-headers") ?? USUAL_HEADERS);
    c.header("access-control-max-age", "600");
    return c.body(null, 204);
  };
}

function isLoopbackName(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host);
}

/** True for addresses that only this machine reaches. */
export function isLoopbackAddress(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
