// What a job has cost in processor time: beside other work, the clock says little.

/** Processor time of this process so far, all threads together. */
export function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
