// Writes src/native/abi.gen.ts: the C structs and functions of llama.cpp and ggml as tables that koffi understands.
//
//   node scripts/generate-abi.mjs            # fetches the headers with `npm pack`
//   node scripts/generate-abi.mjs DIR        # headers in DIR/include and DIR/ggml/include
//
// The headers are those of llama.rn (MIT), the npm package whose vendored llama.cpp is nearest to the prebuilt libraries in
// use. A C compiler expands the macros and prints each struct's size and offsets, which the start-up check compares with
// koffi's own arithmetic. Only developers run this; the generated file is committed.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const HEADERS_PACKAGE = "llama.rn@0.13.0-rc.5";
const scratch = mkdtempSync(join(tmpdir(), "pare-abi-"));
const root = process.argv[2] ?? fetchHeaders();
const includes = [`-I${root}/include`, `-I${root}/ggml/include`];

/** Structs that cross the border by value or by pointer to a known layout. */
const STRUCTS = [
  "ggml_init_params",
  "ggml_tensor",
  "ggml_type_traits",
  "ggml_backend_dev_caps",
  "ggml_backend_dev_props",
  "gguf_init_params",
  "llama_batch",
  "llama_token_data",
  "llama_token_data_array",
  "llama_model_kv_override",
  "llama_model_tensor_buft_override",
  "llama_model_params",
  "llama_context_params",
  "llama_model_tensor_override",
  "llama_model_imatrix_data",
  "llama_model_quantize_params",
  "llama_sampler_chain_params",
  "llama_logit_bias",
  "llama_chat_message",
  "llama_perf_context_data",
];

/** Functions by the library that exports them; the CPU backend's own library is chosen at run time and is left out. */
const FUNCTIONS = [
  ["ggml", /^(ggml_|gguf_)/, ["ggml.h", "ggml-alloc.h", "ggml-backend.h", "gguf.h"]],
  ["llama", /^llama_/, ["llama.h"]],
];

/** Variadic, by-value exotica or C++-only: not callable or not wanted. */
const LEFT_OUT =
  /^(ggml_abort|ggml_tallocr_new|ggml_opt_(?!step_)|ggml_backend_meta|llama_model_load_from_file_ptr|llama_adapter_lora_init_from_file_ptr)/;

function fetchHeaders() {
  execFileSync("npm", ["pack", "--silent", HEADERS_PACKAGE], { cwd: scratch });
  const archive = readdirSync(scratch).find((name) => name.endsWith(".tgz"));
  execFileSync("tar", ["xf", archive, "package/vendor/llama.cpp/include", "package/vendor/llama.cpp/ggml/include"], {
    cwd: scratch,
  });
  return join(scratch, "package/vendor/llama.cpp");
}

/** All headers as one text without comments and macros, whitespace folded. */
function preprocess(headers) {
  const source = headers.map((name) => `#include "${name}"`).join("\n");
  const out = execFileSync("cc", ["-E", "-P", "-x", "c", ...includes, "-D__attribute__(x)=", "-"], {
    input: source,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  return out.replace(/\b_Bool\b/g, "bool").replace(/\s+/g, " ");
}

const text = preprocess(["ggml.h", "ggml-alloc.h", "ggml-backend.h", "gguf.h", "llama.h"]);
const typedefs = new Map();
for (const match of text.matchAll(/typedef ((?:struct |enum |const )*\w+(?: \*)*) ?(\*?) ?(\w+);/g)) {
  typedefs.set(match[3], `${match[1]} ${match[2]}`.trim());
}
for (const match of text.matchAll(/typedef [\w *]+\(\* ?(\w+)\)/g)) typedefs.set(match[1], "void *"); // callbacks
for (const match of text.matchAll(/typedef struct (?:\w+ )?\{[^}]*\} (\w+);/g))
  typedefs.set(match[1], `struct ${match[1]}`);

const PRIMITIVES = new Set([
  "void",
  "bool",
  "char",
  "int",
  "float",
  "double",
  "size_t",
  "int8_t",
  "int16_t",
  "int32_t",
  "int64_t",
  "uint8_t",
  "uint16_t",
  "uint32_t",
  "uint64_t",
]);

/** koffi's spelling of a C type: known structs by name, text as `const char *`, any other pointer as `void *`. */
function koffiType(c) {
  let type = c
    .replace(/\b(restrict|__restrict)\b/g, "")
    .replace(/\s+/g, " ")
    .trim();
  if (/\(/.test(type)) return "void *"; // function pointer
  const stars = (type.match(/\*/g) ?? []).length;
  const isConst = /\bconst\b/.test(type);
  const base = type
    .replace(/[*]|\bconst\b|\bstruct\b/g, " ")
    .replace(/\s+/g, " ")
    .trim();
  if (base.startsWith("enum ")) return stars ? "void *" : "int";
  if (stars === 1 && base === "char") return isConst ? "const char *" : "void *";
  if (stars > 0) return "void *";
  if (base === "long long" || base === "long") return "int64_t";
  if (base === "unsigned" || base === "unsigned int") return "uint32_t";
  if (PRIMITIVES.has(base)) return base;
  if (STRUCTS.includes(base)) return base;
  const alias = typedefs.get(base);
  if (alias && alias !== `struct ${base}`) return koffiType(alias);
  return undefined;
}

function splitTopLevel(list, separator = ",") {
  const parts = [];
  let depth = 0;
  let part = "";
  for (const ch of list) {
    if (ch === "(" || ch === "{" || ch === "[") depth++;
    if (ch === ")" || ch === "}" || ch === "]") depth--;
    if (ch === separator && depth === 0) {
      parts.push(part);
      part = "";
    } else part += ch;
  }
  if (part.trim()) parts.push(part);
  return parts.map((item) => item.trim());
}

function structBody(name) {
  const start = text.search(new RegExp(`struct ${name} \\{`));
  if (start < 0) throw new Error(`struct ${name} is not in the headers`);
  const open = text.indexOf("{", start);
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === "{") depth++;
    if (text[i] === "}" && --depth === 0) return text.slice(open + 1, i);
  }
  throw new Error(`struct ${name} is not closed`);
}

/** Fields as [name, type] where type may carry an array length: `int64_t[4]`. The one union becomes as many aligned words. */
function structFields(name) {
  return splitTopLevel(structBody(name), ";").map((declaration) => {
    if (declaration.startsWith("union")) return ["value", "int64_t[16]"]; // llama_model_kv_override: 128 bytes, aligned to 8
    const callback = /\(\* ?(\w+)\)/.exec(declaration);
    if (callback) return [callback[1], "void *"];
    const match = /^(.*?)(\w+)(?: ?\[([^\]]+)\])?$/.exec(declaration);
    const length = match[3] === undefined ? "" : `[${evaluate(match[3])}]`;
    const type = koffiType(match[1]);
    if (!type) throw new Error(`struct ${name}: cannot read "${declaration}"`);
    return [match[2], type + length];
  });
}

function evaluate(expression) {
  return Number(
    Function(`return ${expression.replace(/sizeof ?\( ?int32_t ?\)/g, "4").replace(/\bint32_t\b/g, "4")}`)(),
  );
}

function functionTable(pattern, headers) {
  const source = preprocess(headers);
  const table = [];
  for (const match of source.matchAll(
    /(?<=[;}] )(?:extern )?((?:const |struct |enum )*\w+(?: const)?(?: ?\*)*) ?\b((?:ggml|gguf|llama)_\w+) ?\(/g,
  )) {
    const [, result, name] = match;
    if (!pattern.test(name) || LEFT_OUT.test(name) || table.some(([known]) => known === name)) continue;
    let depth = 1;
    let end = match.index + match[0].length;
    for (; depth > 0; end++) depth += source[end] === "(" ? 1 : source[end] === ")" ? -1 : 0;
    const list = source.slice(match.index + match[0].length, end - 1).trim();
    if (list.includes("...")) continue;
    const parameters =
      list === "void" || list === ""
        ? []
        : splitTopLevel(list).map((parameter) => {
            if (parameter.includes("(")) return "void *";
            const unnamed = koffiType(parameter);
            const named = /^(.*[\s*])(\w+)(\[\w*\])?$/.exec(parameter);
            const isNamed = named && koffiType(named[1]) !== undefined && !(unnamed && PRIMITIVES.has(named[2]));
            return named?.[3] && isNamed ? "void *" : isNamed ? koffiType(named[1]) : unnamed;
          });
    const returns = koffiType(result);
    if (returns === undefined || parameters.includes(undefined)) {
      console.error(`left out ${name}(${list}): a type that koffi is not told of`);
      continue;
    }
    table.push([name, returns, parameters]);
  }
  return table;
}

/** The compiler's own layout of each struct. */
function layouts(structs) {
  const lines = structs.flatMap(([name, fields]) => [
    `printf("${name} %zu\\n", sizeof(struct ${name}));`,
    ...fields
      .filter(([field]) => field !== "value")
      .map(([field]) => `printf("${name}.${field} %zu\\n", offsetof(struct ${name}, ${field}));`),
  ]);
  const program = `#include <stdio.h>\n#include <stddef.h>\n#include "llama.h"\nint main(void) { ${lines.join("\n")} return 0; }\n`;
  const binary = join(scratch, "layout");
  execFileSync("cc", ["-x", "c", ...includes, "-o", binary, "-"], { input: program });
  return new Map(
    execFileSync(binary, { encoding: "utf8" })
      .trim()
      .split("\n")
      .map((line) => line.split(" ")),
  );
}

/** Constants of an enum, numbered as C does. */
function enumValues(name) {
  const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(text)?.[1];
  if (body === undefined) throw new Error(`enum ${name} is not in the headers`);
  let next = 0;
  return splitTopLevel(body).map((entry) => {
    const [constant, value] = entry.split("=").map((part) => part.trim());
    const number = value === undefined ? next : evaluate(value);
    next = number + 1;
    return [constant, number];
  });
}

const structs = STRUCTS.map((name) => [name, structFields(name)]);
const layout = layouts(structs);
const lines = [
  `// Generated by scripts/generate-abi.mjs from the headers in ${HEADERS_PACKAGE}; do not edit.`,
  "",
  "/** Fields of each struct in order: [name, koffi type, offset in bytes on a 64-bit machine]. */",
  "export const STRUCTS = {",
  ...structs.map(
    ([name, fields]) =>
      `  ${name}: { sizeBytes: ${layout.get(name)}, fields: [${fields.map(([field, type]) => `["${field}", "${type}", ${layout.get(`${name}.${field}`) ?? -1}]`).join(", ")}] },`,
  ),
  "} as const;",
  "",
  ...["ggml_op", "ggml_backend_dev_type", "ggml_log_level", "llama_ftype"].flatMap((name) => [
    `export const ${name} = {`,
    ...enumValues(name).map(([constant, value]) => `  ${constant}: ${value},`),
    "} as const;",
    "",
  ]),
  ...FUNCTIONS.flatMap(([library, pattern, headers]) => [
    `/** Functions of ${library}: name to [result, ...parameters]. */`,
    `export const ${library.toUpperCase()}_FUNCTIONS = {`,
    ...functionTable(pattern, headers).map(
      ([name, result, parameters]) => `  ${name}: ["${[result, ...parameters].join('", "')}"],`,
    ),
    "} as const;",
    "",
  ]),
];
writeFileSync(new URL("../src/native/abi.gen.ts", import.meta.url), lines.join("\n"));
console.log(`${structs.length} structs, ${lines.length} lines`);
