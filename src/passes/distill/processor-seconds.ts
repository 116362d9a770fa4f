// What a job has cost in processor time: beside other work, the clock says little.

/** Processor time of this process so far, all threads together. */
export function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Time of a part of a run; one that went on counts what it did now. */
export interface Cost {
  seconds: number;
  /** Processor time, all threads together. */
  processorSeconds: number;
}
