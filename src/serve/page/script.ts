// The chat page's program, as the browser runs it. It talks to this server's own API and keeps nothing.
export const SCRIPT = `
const log = document.querySelector("main");
const form = document.querySelector("form");
const box = document.querySelector("textarea");
const send = document.querySelector("#send");
const models = document.querySelector("#model");
const key = document.querySelector("#key");
let messages = [];
let running = null;

const headers = () => ({ "content-type": "application/json", ...(key.value ? { authorization: "Bearer " + key.value } : {}) });

function add(role, text) {
  const turn = document.createElement("div");
  turn.className = "turn " + role;
  const who = document.createElement("span");
  who.className = "who";
  who.textContent = { user: "You: ", assistant: "Model: ", error: "Error: " }[role];
  const body = document.createElement("span");
  body.textContent = text;
  turn.append(who, body);
  log.append(turn);
  turn.scrollIntoView({ block: "end" });
  return body;
}

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

async function answer() {
  running = new AbortController();
  send.textContent = "Stop";
  const body = add("assistant", "");
  let text = "";
  try {
    const request = { model: models.value, messages, stream: true };
    const response = await fetch("v1/chat/completions", { method: "POST", headers: headers(), body: JSON.stringify(request), signal: running.signal });
    if (!response.ok) throw new Error((await response.json()).error.message);
    log.setAttribute("aria-busy", "true");
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      text += event.choices[0]?.delta.content ?? "";
      body.textContent = text;
      if (innerHeight + scrollY > document.body.scrollHeight - 120) body.scrollIntoView({ block: "end" });
    }
  } catch (error) {
    if (error.name !== "AbortError") add("error", error.message);
  }
  if (text) messages.push({ role: "assistant", content: text });
  else body.parentElement.remove();
  log.setAttribute("aria-busy", "false");
  send.textContent = "Send";
  running = null;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) return running.abort();
  const text = box.value.trim();
  if (!text) return;
  box.value = "";
  messages.push({ role: "user", content: text });
  add("user", text);
  answer().then(() => box.focus());
});
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
document.querySelector("#clear").addEventListener("click", () => {
  running?.abort();
  messages = [];
  log.replaceChildren();
  box.focus();
});
key.addEventListener("change", loadModels);
loadModels();
`;
