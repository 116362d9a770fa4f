import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { randomSchema } from "../../../bench/random-schema.mjs";
import { temporaryFolder } from "../../../test/command.js";
import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { Random } from "../../support/random.js";
import { Engine } from "../engine/engine.js";
import { samplingOf } from "../sampling.js";
import { schemaToGrammar } from "./schema-to-grammar.js";
import { FORMATS } from "./string-schema.js";

const SCHEMAS = 60;
const folder = temporaryFolder();
let engine: Engine;

// A model without sense likes every token alike, so its answers try a grammar everywhere.
beforeAll(async () => {
  await writeSyntheticModel(folder.path("model.gguf"), { contextLength: 2048 });
  engine = new Engine({ model: folder.path("model.gguf"), threads: 1, contextLength: 2048, parallel: 8 });
});
afterAll(async () => {
  await engine.close();
  folder[Symbol.dispose]();
});

/** What the model writes under a grammar, and whether it came to its end. */
async function answer(grammar: string, seed: number): Promise<{ text: string; reason: string }> {
  let text = "";
  const sampling = samplingOf({ temperature: 1, top_k: 0, top_p: 1, min_p: 0, seed });
  const prompt = { kind: "text", text: "a" } as const;
  const job = {
    kind: "generate",
    client: "",
    prompt,
    stop: [],
    sampling,
    grammar,
    streams: false,
    maxTokens: 800,
  } as const;
  for await (const event of engine.run(job)) {
    if (event.kind === "text") text += event.text;
    if (event.kind === "ended") return { text, reason: event.reason };
  }
  throw new Error("The answer has no end");
}

const ajv = new Ajv2020({ strict: false, logger: false, formats: formatTests() });

/** Tests of our own: each format as its RFC has it, as far as the grammar goes. */
function formatTests(): Record<string, (text: string) => boolean> {
  const isDate = (text: string): boolean =>
    /^\d{4}-\d\d-\d\d$/.test(text) && new Date(`${text}T00:00:00Z`).toISOString().startsWith(text);
  const isTime = (text: string): boolean => /^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:[0-5]\d)$/.test(text);
  return {
    date: isDate,
    time: isTime,
    "date-time": (text) => isDate(text.slice(0, 10)) && text[10] === "T" && isTime(text.slice(11)),
    uuid: (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text),
    ipv4: (text) =>
      text.split(".").length === 4 &&
      text.split(".").every((part) => Number(part) < 256 && String(Number(part)) === part),
    email: (text) => /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(text),
  };
}

async function expectValid(schema: Record<string, unknown>, seed: number): Promise<string> {
  const { text, reason } = await answer(schemaToGrammar(schema), seed);
  if (reason === "length") return reason;
  const value = JSON.parse(text) as unknown;
  const isValid = ajv.validate(schema, value);
  expect({ isValid, schema, text, errors: ajv.errors }).toMatchObject({ isValid: true });
  return reason;
}

test(`schemaToGrammar() keeps every answer to its schema, for ${SCHEMAS} random ones`, async () => {
  const random = new Random(20);
  const schemas = Array.from({ length: SCHEMAS }, () => randomSchema(random));
  const reasons = await Promise.all(schemas.map((schema, seed) => expectValid(schema, seed)));
  const ended = reasons.filter((reason) => reason === "end").length;
  expect(ended).toBeGreaterThan(SCHEMAS / 2); // the others are long: texts and numbers of texts without a bound
});

test.each(Object.keys(FORMATS))("the format %s is a grammar that llama.cpp reads and ends", async (format) => {
  expect(await expectValid({ type: "object", properties: { a: { format } }, required: ["a"] }, 1)).toBe("end");
});

test("schemas may contain themselves", async () => {
  const tree = {
    $ref: "#/$defs/tree",
    $defs: {
      tree: {
        type: "object",
        properties: { next: { anyOf: [{ type: "null" }, { $ref: "#/$defs/tree" }] } },
        required: ["next"],
        additionalProperties: false,
      },
    },
  };
  for (let seed = 0; seed < 5; seed++) await expectValid(tree, seed);
});

/** Told from others by its property `k`, where it is an object. */
const tagged = (type: string | string[], k: number): object => ({
  type,
  properties: { k: { const: k } },
  required: ["k"],
});

test("oneOf of objects that a property tells apart is held to", async () => {
  const one = { type: "object", oneOf: [tagged("object", 1), tagged(["object", "null"], 2)] };
  for (let seed = 0; seed < 4; seed++) expect(await expectValid(one, seed)).toBe("end");
});

/** Whose first one would be a number as well. */
const listOfTexts = { type: "array", allOf: [{ items: { type: "string" } }, { prefixItems: [{ type: "number" }] }] };

describe("schemaToGrammar() refuses by name", () => {
  test.each<[string, unknown, string]>([
    ["uniqueItems", { type: "array", uniqueItems: true }, 'at # has "uniqueItems", which can\'t be enforced'],
    ["a deep keyword", { properties: { a: { not: {} } } }, 'at #/properties/a has "not"'],
    ["multipleOf", { type: "integer", multipleOf: 5 }, 'has "multipleOf"'],
    ["an unknown format", { type: "string", format: "isbn" }, 'the format "isbn"'],
    ["a pattern that looks ahead", { type: "string", pattern: "^(?=a)b$" }, "looks ahead"],
    ["a pattern that is none", { type: "string", pattern: "(" }, "no regular expression"],
    ["an anchor for one choice", { type: "string", pattern: "^a|b$" }, "anchor for one of its choices"],
    [
      "a pattern with a length",
      { type: "string", pattern: "a", maxLength: 3 },
      "combines pattern with minLength or maxLength",
    ],
    ["bounds without a number", { type: "integer", minimum: 5, maximum: 4 }, "no integer"],
    ["bounds between whole numbers", { type: "integer", exclusiveMinimum: 5, exclusiveMaximum: 6 }, "no integer"],
    ["a required property that is forbidden", { required: ["a"], additionalProperties: false }, 'requires "a"'],
    ["an enum that the type forbids", { enum: [1, 2], type: "string" }, "lists no value"],
    [
      "oneOf that may overlap",
      { oneOf: [{ type: "string" }, { type: "string", maxLength: 2 }] },
      '"oneOf" with branches 0 and 1',
    ],
    [
      "oneOf with one object spelled twice",
      { oneOf: [{ const: { a: 1, b: 2 } }, { const: { b: 2, a: 1 } }] },
      '"oneOf" with branches 0 and 1',
    ],
    [
      "oneOf whose branches both allow null",
      { oneOf: [1, 2].map((k) => tagged(["object", "null"], k)) },
      '"oneOf" with',
    ],
    ["items that speak of another schema's first ones", listOfTexts, 'has "items" beside a schema with more'],
    ["a reference to nowhere", { $ref: "#/$defs/a" }, 'refers to "#/$defs/a"'],
    ["a reference to another document", { $ref: "https://example.com/a" }, "refers to"],
    ["a reference to itself", { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/a" } } }, "refers to itself only"],
    ["a type that does not exist", { type: "text" }, "no valid JSON Schema"],
    ["a keyword of the wrong kind", { properties: [] }, "no valid JSON Schema"],
    ["types that exclude each other", { allOf: [{ type: "string" }, { type: "number" }] }, "at once"],
    ["a schema that allows nothing", { properties: { a: false }, required: ["a"] }, "allows no value"],
    ["no schema", 5, "is no schema"],
  ])("%s", (_what, schema, message) => {
    expect(() => schemaToGrammar(schema)).toThrow(message);
  });
});
