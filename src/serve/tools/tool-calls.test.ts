import { describe, expect, test } from "vitest";

import { parseToolCalls, ToolCallWatcher } from "./tool-calls.js";
import { toolFormatOf } from "./tool-format.js";

const CALL = { name: "add", arguments: { a: 1, b: "two" } };

describe("parseToolCalls()", () => {
  test.each([
    ["Hermes, Qwen", '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": "two"}}\n</tool_call>', 1],
    [
      "two of Hermes",
      '<tool_call>{"name":"add","arguments":{"a":1,"b":"two"}}</tool_call>\n<tool_call>{"name":"add","arguments":{"a":1,"b":"two"}}</tool_call>',
      2,
    ],
    [
      "Qwen3-Coder",
      "<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\ntwo\n</parameter>\n</function>\n</tool_call>",
      1,
    ],
    ["Mistral", '[TOOL_CALLS][{"name": "add", "arguments": {"a": 1, "b": "two"}}]', 1],
    ["newer Mistral", '[TOOL_CALLS]add[ARGS]{"a": 1, "b": "two"}', 1],
    ["Llama 3", '{"name": "add", "parameters": {"a": 1, "b": "two"}}', 1],
    [
      "Llama 3 with its tag",
      '<|python_tag|>{"name": "add", "parameters": {"a": 1, "b": "two"}}; {"name": "add", "parameters": {"a": 1, "b": "two"}}',
      2,
    ],
    ["Granite", '<|tool_call|>[{"name": "add", "arguments": {"a": 1, "b": "two"}}]', 1],
    ["Phi-4-mini", 'functools[{"name": "add", "arguments": {"a": 1, "b": "two"}}]', 1],
    ["arguments as text", '<tool_call>{"name": "add", "arguments": "{\\"a\\": 1, \\"b\\": \\"two\\"}"}</tool_call>', 1],
  ])("reads calls of %s", (_family, text, count) => {
    expect(parseToolCalls(text)).toEqual(Array.from({ length: count }, () => CALL));
  });

  test.each([
    "no call",
    "<tool_call>add(1)</tool_call>",
    '{"name": 5}',
    "[TOOL_CALLS][1]",
    '{"name": "add", "arguments": [1]}',
  ])("finds none in %s", (text) => {
    expect(parseToolCalls(text)).toEqual([]);
  });
});

describe("ToolCallWatcher", () => {
  const watch = (template: string, text: string, names = ["add"]): { shown: string; calls: unknown[] } => {
    const watcher = new ToolCallWatcher(toolFormatOf(template), names);
    let shown = "";
    for (const character of text) shown += watcher.push(character);
    const { text: rest, calls } = watcher.end();
    return { shown: shown + rest, calls };
  };
  const hermes = '<tool_call>{"name":"add","arguments":{"a":1,"b":"two"}}</tool_call>';

  test("shows text before a call, and nothing of the call", () => {
    expect(watch("<tool_call>", `I add. ${hermes}`)).toEqual({ shown: "I add. ", calls: [CALL] });
    expect(watch("<|python_tag|>", '{"name":"add","parameters":{"a":1,"b":"two"}}')).toEqual({
      shown: "",
      calls: [CALL],
    });
  });

  test("shows as text what turns out to be no call, or calls a tool that is not there", () => {
    expect(watch("<tool_call>", "a <tool> and <tool_")).toEqual({ shown: "a <tool> and <tool_", calls: [] });
    expect(watch("<tool_call>", hermes, ["other"])).toEqual({ shown: hermes, calls: [] });
    expect(watch("<|python_tag|>", 'I say {"name":"add"}')).toEqual({ shown: 'I say {"name":"add"}', calls: [] });
  });
});
