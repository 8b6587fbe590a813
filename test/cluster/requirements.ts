import { controlPlaneBinaries, whyBinariesAreMissing } from './binaries.ts';

/** Fails with one sentence that says what this machine lacks, before anything is built or started. */
export async function requireMachine(node: boolean): Promise<void> {
  void node;
  if (process.platform !== 'linux') {
    throw new Error(`a cluster needs Linux and this is ${process.platform} – use a Linux machine or a virtual one`);
  }
  const missing = await whyBinariesAreMissing(controlPlaneBinaries);
  if (missing) throw new Error(missing);
}
