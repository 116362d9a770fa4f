// The part of a chat page that is the same whoever answers: turns on the screen, the box to write in, Stop and New chat.
// It calls `ask(messages, signal)`, which the program around it has: an async iterator of the answer so far.
export const CONVERSATION = `
const log = document.querySelector("main");
const form = document.querySelector("form");
const box = document.querySelector("textarea");
const send = document.querySelector("#send");
let messages = [];
let running = null;

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

async function answer() {
  const own = (running = new AbortController());
  const history = messages;
  send.textContent = "Stop";
  log.setAttribute("aria-busy", "true");
  const body = add("assistant", "");
  body.parentElement.classList.add("waiting");
  let text = "";
  let isShown = true;
  const show = () => {
    isShown = true;
    body.textContent = text;
    body.parentElement.classList.toggle("waiting", text === "");
    if (innerHeight + scrollY > document.body.scrollHeight - 120) body.scrollIntoView({ block: "end" });
  };
  try {
    for await (text of ask(history, own.signal)) {
      if (isShown) requestAnimationFrame(show);
      isShown = false; // a fast model writes many pieces a frame
    }
  } catch (error) {
    if (error.name !== "AbortError") add("error", error.message);
  }
  show();
  body.parentElement.classList.remove("waiting");
  if (text) history.push({ role: "assistant", content: text });
  else body.parentElement.remove();
  if (running !== own) return;
  log.setAttribute("aria-busy", "false");
  send.textContent = "Send";
  running = null;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) return running.abort();
  const text = box.value.trim();
  if (!text || send.disabled) return;
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
`;
