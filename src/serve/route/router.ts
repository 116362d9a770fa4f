// From what a request asks for to one of the served models, by the task that it names or that rules find for it.
import { UsageError } from "../../errors.js";
import { RequestError } from "../failure.js";
import type { ModelSet, ServedModel } from "../model-set.js";
import { chooseTask, type Traits } from "./choose-task.js";
import type { RouteFile } from "./route-file.js";

const AUTO = "auto";
const PREFIX = "task:";

/** What a request says of who is to answer it. */
export interface Asked {
  model: string | undefined;
  /** OpenAI's `metadata.task`. */
  metadataTask?: string | undefined;
  /** The header `X-Pare-Task`. */
  headerTask?: string | undefined;
  /** What rules look at; where there are none, the request needs a task or a model that is named. */
  traits?: (() => Traits) | undefined;
}

/** Who answers, and by what: `header`, `metadata`, `model`, `rule 1` or `default`. */
export interface Route {
  model: ServedModel;
  task: string;
  by: string;
}

/** Routes of a file over models that are served. */
export class Router {
  readonly #file: RouteFile;
  readonly #models: ModelSet;

  /** Lists `task:NAME` and `auto` among the models. @throws {UsageError} when a task's model is not served, or a name is taken */
  constructor(file: RouteFile, models: ModelSet) {
    this.#file = file;
    this.#models = models;
    const names = [...models].map(({ name }) => name);
    for (const [task, model] of Object.entries(file.tasks)) {
      if (names.includes(model)) continue;
      throw new UsageError(`The task "${task}" is for the model "${model}", which is not served`, {
        hint: `Models here are ${names.join(", ")}`,
      });
    }
    for (const [task, model] of Object.entries(file.tasks)) models.addAlias(PREFIX + task, model);
    if (file.default !== undefined) models.addAlias(AUTO, file.tasks[file.default]!);
  }

  /**
   * A task that is named goes before the model that is; without either route, `undefined`.
   *
   * @throws {RequestError} 404 for an unknown task, 400 where two are named, or where `auto` can't be chosen
   */
  route(asked: Asked): Route | undefined {
    const [named, ...others] = namedTasks(asked);
    const stranger = others.find(({ task }) => task !== named!.task);
    if (stranger) {
      throw new RequestError(400, `The request names two tasks, "${named!.task}" and "${stranger.task}"`, {
        code: "ambiguous_task",
      });
    }
    if (named) return this.#routeTo(named.task, named.by);
    const otherwise = this.#file.default;
    if (otherwise === undefined || withoutTag(asked.model) !== AUTO) return undefined;
    if (!asked.traits) {
      throw new RequestError(400, `"${AUTO}" can't embed, as vectors of different models can't be compared`, {
        param: "model",
        hint: `Name a model or a task: ${this.#names()}`,
      });
    }
    const { task, by } = chooseTask({ rules: this.#file.rules, default: otherwise }, asked.traits());
    return this.#routeTo(task, by);
  }

  #routeTo(task: string, by: string): Route {
    if (Object.hasOwn(this.#file.tasks, task)) {
      return { model: this.#models.find(this.#file.tasks[task]), task, by };
    }
    throw new RequestError(404, `There is no task "${task}"; tasks here are ${this.#names()}`, {
      param: { header: "X-Pare-Task", metadata: "metadata.task" }[by] ?? "model",
      code: "task_not_found",
    });
  }

  #names(): string {
    return Object.keys(this.#file.tasks)
      .map((task) => `"${task}"`)
      .join(", ");
  }
}

function namedTasks({ model, metadataTask, headerTask }: Asked): { task: string; by: string }[] {
  const modelTask = model?.startsWith(PREFIX) ? withoutTag(model)!.slice(PREFIX.length) : undefined;
  return [
    { task: headerTask, by: "header" },
    { task: metadataTask, by: "metadata" },
    { task: modelTask, by: "model" },
  ].filter((one): one is { task: string; by: string } => one.task !== undefined);
}

/** Ollama's clients append `:latest`. */
function withoutTag(name: string | undefined): string | undefined {
  return name?.replace(/:latest$/, "");
}
