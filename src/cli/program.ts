// The command tree. Help, shell completion and `docs/cli.md` are all made from it.
import { Command } from "commander";

import { describeAdapt } from "./command-adapt.js";
import { describeCalibrate } from "./command-calibrate.js";
import { describeChat } from "./command-chat.js";
import { describeCompare } from "./command-compare.js";
import { describeCompletion } from "./command-completion.js";
import { describeConvert } from "./command-convert.js";
import { describeCost } from "./command-cost.js";
import { describeDistill } from "./command-distill.js";
import { describeDoctor } from "./command-doctor.js";
import { describeEval } from "./command-eval.js";
import { describeExport } from "./command-export.js";
import { describeFit } from "./command-fit.js";
import { describeInspect } from "./command-inspect.js";
import { describePull } from "./command-pull.js";
import { describeQuantize } from "./command-quantize.js";
import { describeSuite } from "./command-suite.js";
import { describeTrain } from "./command-train.js";
import { describeVerify } from "./command-verify.js";
import { describeVocabulary } from "./command-vocabulary.js";
import { describeServe } from "./command-serve.js";
import { describeStudio } from "./command-studio.js";
import { addExamples } from "./examples.js";
import { addGlobalOptions } from "./options.js";
import { packageVersion } from "./version.js";

const EXAMPLES = [
  "pare fit model.gguf --task cases.jsonl --device raspberry-pi-5 --keep 99% --minimize size --out lean",
  "pare inspect model.gguf",
  'pare chat model.gguf --prompt "Once upon a time" --greedy',
];

/** Builds the whole tree, with nothing imported but what describes it. */
export function createProgram(): Command {
  const program = new Command("pare")
    .description("Finds the leanest language model that still does your task, and proves it.")
    .version(packageVersion(), "--version", "print the version")
    .helpOption("--help", "show this help")
    .helpCommand(false)
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ showGlobalOptions: false, sortSubcommands: false });
  addGlobalOptions(program);
  addExamples(program, EXAMPLES);
  for (const describe of [
    describeFit,
    describeVerify,
    describeCost,
    describeInspect,
    describePull,
    describeConvert,
    describeQuantize,
    describeCalibrate,
    describeVocabulary,
    describeTrain,
    describeAdapt,
    describeDistill,
    describeEval,
    describeSuite,
    describeCompare,
    describeChat,
    describeExport,
    describeServe,
    describeStudio,
    describeDoctor,
    describeCompletion,
  ]) {
    describe(program);
  }
  for (const command of program.commands) addGlobalOptions(command);
  return program;
}
