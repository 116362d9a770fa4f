// Requests that a server must refuse, seeded: bodies that are no JSON, fields of the wrong kind, paths that lead nowhere or try to
// lead elsewhere, methods that are not there. Used by `bench/serve-faults.mjs` and by a sample of it in the tests.

const PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/api/chat", "/api/generate", "/api/embed"];
const TRICKS = [
  "/../../etc/passwd",
  "/%2e%2e/%2e%2e/etc/passwd",
  "/v1/models/../../x",
  "/v1/models/%00",
  "//etc/passwd",
  "/v1%5cmodels",
  "/.env",
  "/v1/models/%ff",
  "/v1/chat/completions/",
  "/%",
  "/api/pull",
  "/api/delete",
];
const VALUES = [
  null,
  true,
  -1,
  1e300,
  0.5,
  "",
  "x",
  "\u0000",
  [],
  [[]],
  [null],
  {},
  { a: 1 },
  [{ role: "user" }],
  [{ role: 5, content: [] }],
  "𝕏".repeat(50),
];

/** Fields of each API whose value is no longer good when any of `VALUES` is put there, and a request that is good otherwise. */
const GOOD = {
  "/v1/chat/completions": { messages: [{ role: "user", content: "a" }], max_tokens: 1 },
  "/v1/completions": { prompt: "a", max_tokens: 1 },
  "/v1/embeddings": { input: "a" },
  "/api/chat": {
    model: "endless",
    messages: [{ role: "user", content: "a" }],
    stream: false,
    options: { num_predict: 1 },
  },
  "/api/generate": { model: "endless", prompt: "a", stream: false, options: { num_predict: 1 } },
  "/api/embed": { model: "endless", input: "a" },
};
const BAD = {
  "/v1/chat/completions": {
    messages: [
      [],
      "x",
      5,
      [{}],
      [{ role: "king", content: "a" }],
      [{ role: "user", content: 5 }],
      [{ role: "user", content: [{ type: "image_url" }] }],
      {},
    ],
    temperature: [-1, "x", [], 1e9],
    tools: ["x", [{}], [{ type: "function", function: { name: "a b" } }]],
    tool_choice: ["must", 5, { type: "function", function: { name: "nothing" } }, "required"],
    response_format: [
      "json",
      { type: "xml" },
      { type: "json_schema" },
      { type: "json_schema", json_schema: { schema: { type: "text" } } },
      { type: "json_schema", json_schema: { schema: { not: {} } } },
    ],
    model: ["nothing", 5, "../../etc/passwd"],
    n: [0, 1.5, 1000],
    logit_bias: [{ x: 1 }, { 5: 1000 }, []],
    stop: [5, [""], [[]]],
    functions: [[], {}],
  },
  "/v1/completions": {
    prompt: [5, [], {}, [[]], [-1], [1.5], [1e9], "long ".repeat(6000)],
    suffix: ["x"],
    logprobs: [-1, 1000, "x"],
    max_tokens: [-5, 1.5, "x"],
    seed: ["x", 1.5],
    top_p: [2, -1],
  },
  "/v1/embeddings": {
    input: [5, [], "", [""], {}, "long ".repeat(6000), [[1e9]]],
    dimensions: [5],
    encoding_format: ["text"],
  },
  "/api/chat": {
    messages: ["x", [{}], [{ role: "user", content: 5 }]],
    model: [5, "nothing", null],
    options: ["x", { temperature: -1 }, { stop: [5] }],
    format: ["xml", { type: "text" }, 5],
  },
  "/api/generate": {
    prompt: [5, {}, []],
    model: [5, "nothing"],
    images: [["x"]],
    suffix: ["x"],
    options: [{ top_p: 5 }],
  },
  "/api/embed": { input: [5, {}, [5]], model: [5, "nothing"] },
};

/** @param random a `Random` of src/support */
export function malformedRequest(random) {
  const pick = (list) => list[Math.floor(random.next() * list.length)];
  const path = pick(PATHS);
  const body = JSON.stringify(GOOD[path]);
  const headers = { "content-type": "application/json" };
  const sent = (what, changed, at = path) => ({ what, path: at, init: { method: "POST", headers, body: changed } });
  const makers = [
    () => sent("a body cut short", body.slice(0, Math.floor(random.next() * body.length))),
    () => sent("a body with more behind it", `${body}${pick(["}", "x", "{}", "\u0000"])}`),
    () =>
      sent(
        "no object",
        JSON.stringify(
          pick(VALUES.filter((value) => typeof value !== "object" || value === null || Array.isArray(value))),
        ),
      ),
    () =>
      sent(
        "bytes",
        Uint8Array.from({ length: 1 + Math.floor(random.next() * 200) }, () => 128 + Math.floor(random.next() * 128)),
      ),
    () => sent("deep nesting", `${"[".repeat(20_000)}${"]".repeat(20_000)}`),
    () => {
      const field = pick(Object.keys(BAD[path]));
      return sent(`a bad ${field}`, JSON.stringify({ ...GOOD[path], [field]: pick(BAD[path][field]) }));
    },
    () => ({ what: "a path", path: pick(TRICKS), init: { method: pick(["GET", "POST"]), headers } }),
    () => ({ what: "a method", path, init: { method: pick(["GET", "PUT", "DELETE", "PATCH"]), headers } }),
  ];
  return pick([...makers, makers[5], makers[5], makers[5]])();
}
