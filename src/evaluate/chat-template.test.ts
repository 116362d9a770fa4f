import { expect, test } from "vitest";

import { ChatTemplate } from "./chat-template.js";

const options = { bosText: "<s>", eosText: "</s>", modelPath: "m.gguf" };

test("ChatTemplate renders messages with BOS, EOS and the beginning of the answer", () => {
  const source =
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
  const text = new ChatTemplate(source, options).render({
    messages: [
      { role: "system", content: "Be brief" },
      { role: "user", content: "Hi" },
    ],
  });
  expect(text).toBe("<s>[system] Be brief</s>[user] Hi</s>[assistant]");
});

test("ChatTemplate names the model whose template is no Jinja", () => {
  expect(() => new ChatTemplate("{% for x in %}", options)).toThrow(/^Cannot read the chat template of "m.gguf": /);
});

test("ChatTemplate tells which roles a template refused, and why", () => {
  const template = new ChatTemplate("{{ raise_exception('roles must alternate') }}", options);
  expect(() => template.render({ messages: [{ role: "user", content: "a" }] })).toThrow(
    'The chat template of "m.gguf" refuses the messages (user): roles must alternate',
  );
});

test("a template that writes the date writes the one it is told", () => {
  const source = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y, %A %H:%M') }}{% endif %}";
  const template = new ChatTemplate(source, { ...options, today: new Date("2024-07-26T10:05:00Z") });
  expect(template.render({ messages: [] })).toBe("26 Jul 2024, Friday 10:05");
  expect(new ChatTemplate("{{ strftime_now('%Y') }}", options).render({ messages: [] })).toMatch(/^2\d{3}$/);
});
