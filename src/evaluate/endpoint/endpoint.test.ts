import { expect, test } from "vitest";

import { type Behave, EndpointServer, answering, json, stream } from "../../../test/endpoint-server.js";
import { describeEndpoint } from "./describe-endpoint.js";
import { Endpoint } from "./endpoint.js";

const question = { messages: [{ role: "user", content: "2 + 2?" }], maxTokens: 8, stop: [] };
const fast = { model: "tiny", waitMs: 1 };

test("answer() gathers a stream, with the server's count of tokens", async () => {
  await using server = await EndpointServer.start(answering(() => "four"));
  const endpoint = new Endpoint({ ...fast, url: `${server.url}/`, key: "secret" });
  expect(await endpoint.answer(question)).toMatchObject({
    text: "four",
    finishReason: "stop",
    promptTokens: 10,
    answerTokens: 4,
  });
  expect(await endpoint.answer({ prompt: "2 +", maxTokens: 8, stop: ["\n"] })).toMatchObject({ text: "four" });
  const [chat, raw] = server.questions;
  expect(chat).toMatchObject({
    path: "/v1/chat/completions",
    authorization: "Bearer secret",
    body: { model: "tiny", temperature: 0, max_tokens: 8, messages: question.messages },
  });
  expect(raw).toMatchObject({ path: "/v1/completions", body: { prompt: "2 +", stop: ["\n"] } });
});

const failing: [string, Behave][] = [
  ["a full queue", (_, response) => json(response, 429, { error: { message: "slow down" } }, { "retry-after": "0" })],
  ["an error page", (_, response) => void response.writeHead(502, { "content-type": "text/html" }).end("<html>")],
  [
    "half a stream",
    (_, response) => {
      stream(response, ["fo"], null);
      response.end();
    },
  ],
  [
    "a connection that is cut",
    (_, response) => {
      stream(response, ["fo"], null);
      response.socket!.destroy();
    },
  ],
  [
    "an error within the stream",
    (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end('data: {"error": {"message": "overloaded"}}\n\n');
    },
  ],
  [
    "a stream of something else",
    (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end("data: <html>\n\n");
    },
  ],
];

test.each(failing)("answer() tries again after %s, and takes nothing of it", async (_what, fail) => {
  const answer = answering(() => "four");
  await using server = await EndpointServer.start((request, response, count) =>
    (count < 4 ? fail : answer)(request, response, count),
  );
  expect((await new Endpoint({ ...fast, url: server.url }).answer(question)).text).toBe("four");
  expect(server.seen).toHaveLength(4);
});

test.each(failing)("answer() gives up when it is always %s, and says so", async (_what, fail) => {
  await using server = await EndpointServer.start(fail);
  await expect(new Endpoint({ ...fast, url: server.url }).answer(question)).rejects.toThrow(/does not answer: /);
  expect(server.seen).toHaveLength(5);
});

test.each<[string, Behave, RegExp, number]>([
  [
    "a web page",
    (_, response) => void response.writeHead(200, { "content-type": "text/html" }).end("<html>"),
    /answers with a web page \(HTML\), not with a stream/,
    1,
  ],
  [
    "a wrong key",
    (_, response) => json(response, 401, { error: { message: "wrong key: secret" } }),
    /answers 401: wrong key: …$/,
    1,
  ],
  ["no such path", (_, response) => json(response, 404, {}), /answers 404/, 1],
  [
    "a question that is too long",
    (_, response) => json(response, 400, { error: { message: "context is 512" } }),
    /answers 400: context is 512/,
    1,
  ],
  [
    "a redirection",
    (_, response) => void response.writeHead(302, { location: "http://127.0.0.1:9/" }).end(),
    /does not answer/,
    5,
  ],
])("answer() refuses %s", async (_what, behave, message, requests) => {
  await using server = await EndpointServer.start(behave);
  await expect(new Endpoint({ ...fast, url: server.url, key: "secret" }).answer(question)).rejects.toThrow(message);
  expect(server.seen).toHaveLength(requests);
});

test("answer() calls the limit as the server wants it", async () => {
  const answer = answering(() => "four");
  await using server = await EndpointServer.start((request, response, count) =>
    request.body["max_tokens"] === undefined
      ? answer(request, response, count)
      : json(response, 400, { error: { message: "Use 'max_completion_tokens' instead" } }),
  );
  expect((await new Endpoint({ ...fast, url: server.url }).answer(question)).text).toBe("four");
  expect(server.seen[1]!.body["max_completion_tokens"]).toBe(8);
});

test("answer() asks no more at once than allowed, and stops when told to", async () => {
  let most = 0;
  let open = 0;
  await using server = await EndpointServer.start((request, response, count) => {
    most = Math.max(most, ++open);
    setImmediate(() => {
      open--;
      answering(() => "four")(request, response, count);
    });
  });
  const endpoint = new Endpoint({ ...fast, url: server.url, parallel: 2 });
  await Promise.all(Array.from({ length: 10 }, () => endpoint.answer(question)));
  expect(most).toBe(2);
  server.behave = () => undefined; // never answers
  const controller = new AbortController();
  const asked = endpoint.answer(question, controller.signal);
  controller.abort(new Error("enough"));
  await expect(asked).rejects.toThrow("enough");
});

test("a key is not sent where anybody can read it, and an address must be one", () => {
  expect(() => new Endpoint({ ...fast, url: "http://example.com/v1", key: "secret" })).toThrow("unencrypted");
  expect(() => new Endpoint({ ...fast, url: "example.com/v1" })).toThrow("is no address of an endpoint");
});

test("describeEndpoint() finds context, tools and JSON mode by asking", async () => {
  await using server = await EndpointServer.start();
  expect(await describeEndpoint(new Endpoint({ ...fast, url: server.url }))).toEqual({
    contextLength: 512,
    tools: false,
    jsonMode: true,
    license: null,
    api: "OpenAI-compatible endpoint",
    fineTuning: null,
  });
});
