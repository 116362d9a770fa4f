// `app.js` of the exported folder: the page's program.
import { CONVERSATION } from "../../serve/page/conversation.js";

export const APP_SCRIPT = `import { openModel } from "./engine.js";

const greedy = document.querySelector("#greedy");
const state = document.querySelector("#state");
const bar = document.querySelector("progress");
const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

const opened = openModel((done, total) => {
  bar.max = total;
  bar.value = done;
  state.textContent = done < total ? "Loading the model: " + megabytes(done) + " of " + megabytes(total) + " MB" : "Starting the model";
});

async function* ask(messages, signal) {
  yield* (await opened).generate(messages, { greedy: greedy.checked, signal });
}
${CONVERSATION}
/** Has the service worker keep the page, so that it opens without a network. */
async function keepPage() {
  if (!("serviceWorker" in navigator)) return false;
  await navigator.serviceWorker.register("sw.js");
  await navigator.serviceWorker.ready;
  return true;
}

send.disabled = true;
const [model, isPageKept] = await Promise.allSettled([opened, keepPage()]);
bar.hidden = true;
if (model.status === "rejected") {
  state.textContent = "";
  add("error", model.reason.message);
} else {
  const { threads, isKept, manifest } = model.value;
  if (manifest.template === null) box.placeholder = "Text to continue";
  const offline = isKept && isPageKept.value === true;
  state.textContent =
    "Runs on this device" + (threads > 1 ? " on " + threads + " threads" : "") + "; what you write stays here." +
    (offline ? " Works offline." : "");
  document.documentElement.dataset.state = offline ? "offline" : "online";
  send.disabled = false;
  if (offline) navigator.storage?.persist?.();
}
`;
