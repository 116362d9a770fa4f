// Why the engine could not run a model, in words of the file. The engine aborts on some faults with an assertion of its own
// source code, and says of others only that it failed; the checks that find the real reason take time, so they run afterwards.
import { EngineError } from "../errors.js";
import { checkForEngine } from "./check.js";
import { openModel } from "./open.js";

/**
 * Does some work that runs models; where the engine fails, looks for the fault in their files.
 *
 * @param models their paths
 * @throws {FormatError} naming the fault, where there is one; else what the work threw
 */
export async function diagnosing<T>(models: readonly (string | undefined)[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof EngineError) for (const path of models) if (path !== undefined) await check(path);
    throw error;
  }
}

async function check(path: string): Promise<void> {
  await using model = await openModel(path);
  await checkForEngine(model);
}
