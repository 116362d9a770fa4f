#!/usr/bin/env node
// The `pare` command. Start-up is kept cheap: the commands are described here, what they do is imported when it runs.
import { createProgram } from "./program.js";
import { runProgram } from "./run.js";

await runProgram(createProgram(), process.argv.slice(2));
