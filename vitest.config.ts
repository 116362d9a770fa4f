import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: "./test/build-once.ts", // child processes run dist/, so it is built before the first test
    pool: "forks", // a native crash fails one file, not the run
    maxWorkers: 2, // the engine's threads spin at barriers: never more workers than cores
    testTimeout: 180_000, // whole quantizations, on a machine that may be busy
    hookTimeout: 60_000,
    typecheck: { enabled: true, include: ["test/**/*.test-d.ts"], checker: "tsc" },
  },
});
