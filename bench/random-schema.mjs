// Random JSON Schemas of the keywords that a grammar can enforce, with every kind of bound, small enough that an answer of a
// model without sense comes to an end.
/** A schema whose root is an object. @param random a `Random` of src/support */
export function randomSchema(random) {
  const definitions = { leaf: scalar(random), node: object(random, 2, false) };
  return { ...object(random, 0, true), $defs: definitions };
}

function any(random, depth, refers) {
  const makers = [scalar, scalar, scalar];
  if (depth < 3)
    makers.push(
      (r) => object(r, depth + 1, refers),
      (r) => array(r, depth + 1, refers),
      (r) => choice(r, depth + 1, refers),
    );
  if (refers) makers.push((r) => ({ $ref: pick(r, ["#/$defs/leaf", "#/$defs/node"]) }));
  return pick(random, makers)(random);
}

function object(random, depth, refers) {
  const names = ["name", "a", "ab", "größe", 'quo"te', "x y", "id"].slice(0, 1 + whole(random, 5));
  const properties = Object.fromEntries(names.map((name) => [name, any(random, depth, refers)]));
  const required = names.filter(() => random.next() < 0.5);
  const additional = pick(random, [{}, { additionalProperties: false }, { additionalProperties: bounded(random) }]);
  return { type: "object", properties, required, ...additional };
}

function array(random, depth, refers) {
  const minItems = whole(random, 3);
  const maxItems = minItems + whole(random, 3);
  if (random.next() < 0.3) {
    return { type: "array", prefixItems: [scalar(random), scalar(random)], items: false, maxItems: 2 };
  }
  return { type: "array", items: any(random, depth, refers), minItems, maxItems };
}

function choice(random, depth, refers) {
  if (random.next() < 0.3) {
    return { oneOf: [{ type: "string", maxLength: 4 }, { type: "integer", minimum: -3 }, { type: "null" }] };
  }
  if (random.next() < 0.3) {
    return { allOf: [{ type: "number", minimum: -5 }, { maximum: 1 + whole(random, 20) }] };
  }
  return { anyOf: [any(random, depth, refers), scalar(random)] };
}

function scalar(random) {
  return pick(random, [bounded, text, listed, decimal, plain])(random);
}

function plain(random) {
  return pick(random, [
    { type: "boolean" },
    { type: "null" },
    { type: "integer" },
    { type: "number" },
    { type: ["integer", "null"] },
  ]);
}

function bounded(random) {
  const low = whole(random, 2000) - 1000;
  const high = low + whole(random, 3000);
  return pick(random, [
    { type: "integer", minimum: low, maximum: high },
    { type: "integer", exclusiveMinimum: low },
    { type: "integer", exclusiveMaximum: high, minimum: low - 1 },
  ]);
}

function decimal(random) {
  const low = (random.next() - 0.5) * 10 ** whole(random, 4);
  const rounded = Number(low.toFixed(whole(random, 4)));
  return pick(random, [
    { type: "number", minimum: rounded, maximum: Number((rounded + random.next() * 10).toFixed(3)) + 1 },
    { type: "number", exclusiveMinimum: rounded },
    { type: "number", exclusiveMaximum: rounded },
  ]);
}

function text(random) {
  const minLength = whole(random, 4);
  return pick(random, [
    { type: "string", minLength, maxLength: minLength + whole(random, 6) },
    { type: "string", format: pick(random, ["date", "time", "date-time", "uuid", "ipv4", "email"]) },
    {
      type: "string",
      pattern: pick(random, [
        "^[a-c]{2,4}$",
        "^\\d{3}-\\d{4}$",
        "^(?:ab|c+?)x?$",
        "^[^aeiou]{1,3}$",
        '^["\\\\/]{1,2}$',
        "^\\S\\w{0,3}$",
      ]),
    },
  ]);
}

function listed(random) {
  return pick(random, [
    { enum: ["red", "green", "blue"] },
    { enum: ["one", 2, null, true, { deep: [1] }] },
    { const: 'a "quoted" \\ word\n' },
    { enum: ["a", "abc", 5], type: "string" },
  ]);
}

function whole(random, below) {
  return Math.floor(random.next() * below);
}

function pick(random, options) {
  return options[whole(random, options.length)];
}
