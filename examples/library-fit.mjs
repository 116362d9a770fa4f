// Finds a lean model from a program: progress as it comes, Ctrl-C to stop, the verdict at the end. Run again after a stop,
// it goes on from its journal.
//
//   node examples/library-fit.mjs [MODEL] [TASK] [OUT]
import { EXIT_CODES, PareError, fit } from "pare";

const [model = "models/home-commands-f16.gguf", task = "models/home-commands.task.jsonl", out = "out/library-fit"] =
  process.argv.slice(2);
const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort());

try {
  const certificate = await fit(
    { models: model, task, device: "raspberry-pi-5", keep: "95%", budget: "5m", out },
    { signal: stopping.signal, onProgress: ({ stage, done, total, detail }) => report(stage, done, total, detail) },
  );
  const { verdict, reason, winner, baseline } = certificate;
  console.log(`${verdict}: ${reason}`);
  if (winner) console.log(`${winner.path}: ${winner.sizeBytes} bytes, the baseline has ${baseline.sizeBytes}`);
  process.exitCode = EXIT_CODES[verdict];
} catch (error) {
  if (stopping.signal.aborted) console.error("Stopped; run it again to go on");
  else if (error instanceof PareError) console.error(`${error.message}\n${error.hint ?? ""}`);
  else throw error;
  process.exitCode = 1;
}

function report(stage, done, total, detail) {
  console.error(`${done} of ${total ?? "?"}: ${stage} ${detail ?? ""}`);
}
