// `pare doctor`: is this machine ready?
import type { Command } from "commander";

import type { DoctorReport } from "../doctor.js";
import { formatBytes } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { renderFacts, renderTable } from "./table.js";

export function describeDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .summary("check that this machine is ready")
    .description("Checks Node, the engine and its self-check, devices, memory and disk, and says what to change.")
    .action(
      perform(async (invocation) => {
        const { doctor } = await import("../doctor.js");
        const report = await doctor();
        invocation.print(report, () => renderReport(report));
        return report.ok ? 0 : 1;
      }),
    );
  addExamples(command, ["pare doctor", "pare doctor --backend cuda", "pare doctor --json | jq .checks"]);
}

function renderReport(report: DoctorReport): string {
  const checks = report.checks.map(({ status, name, found, hint }) => [
    status,
    name,
    hint ? `${found} (${hint})` : found,
  ]);
  const devices = report.devices.map((device) => [
    device.name,
    device.description,
    `${formatBytes(device.memoryFreeBytes)} of ${formatBytes(device.memoryTotalBytes)} free`,
  ]);
  const sections = [renderTable(checks)];
  if (devices.length > 0) sections.push(renderTable(devices, { header: ["device", "description", "memory"] }));
  sections.push(renderFacts(Object.entries(report.versions)));
  sections.push(report.ok ? "Ready" : "Not ready: see the lines that start with fail");
  return sections.join("\n\n");
}
