// The chat page's program, as the browser runs it. It talks to this server's own API and keeps nothing.
import { CONVERSATION } from "./conversation.js";

export const SCRIPT = `
const models = document.querySelector("#model");
const key = document.querySelector("#key");

const headers = () => ({ "content-type": "application/json", ...(key.value ? { authorization: "Bearer " + key.value } : {}) });

async function loadModels() {
  const response = await fetch("v1/models", { headers: headers() });
  key.hidden = document.querySelector("label[for=key]").hidden = response.status !== 401 && !key.value;
  if (!response.ok) return;
  const { data } = await response.json();
  models.replaceChildren(...data.map(({ id }) => new Option(id, id)));
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\\n\\n");
    rest = parts.pop();
    for (const part of parts) if (part !== "data: [DONE]") yield JSON.parse(part.slice(6));
  }
}

async function* ask(messages, signal) {
  const body = JSON.stringify({ model: models.value, messages, stream: true });
  const response = await fetch("v1/chat/completions", { method: "POST", headers: headers(), body, signal });
  if (!response.ok) throw new Error((await response.json()).error.message);
  let text = "";
  for await (const event of events(response)) {
    if (event.error) throw new Error(event.error.message);
    text += event.choices[0]?.delta.content ?? "";
    yield text;
  }
}
${CONVERSATION}
key.addEventListener("change", loadModels);
loadModels();
`;
