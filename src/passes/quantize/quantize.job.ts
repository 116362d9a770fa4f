// The child's side of `quantize`.
import type { JobContext } from "../../native/isolate.js";
import { type Order, type Target, type Written, prepare, write } from "./quantize-file.js";

export async function run(job: Order & Target, context: JobContext): Promise<Written> {
  await using prepared = await prepare(job, {});
  return await write(prepared, job, { onProgress: (progress) => context.progress(progress) });
}
