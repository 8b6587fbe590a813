import test from 'ava';
import type { Row, Subject, Traits } from './contract.ts';

/** All cells of one product. `start` is called once. */
export function runContract(traits: Traits, start: () => Promise<Subject>, rows: readonly Row[]): void {
  const { product } = traits;
  let subject: Subject;
  test.serial.before(`start ${product}`, async () => {
    subject = await start();
  });
  test.after.always(`stop ${product}`, async () => {
    await subject?.issuer.close();
    await subject?.stop();
  });
  for (const row of rows) {
    const missing = row.missing?.(traits);
    if (missing === undefined) test.serial(`${product}: ${row.title}`, (t) => row.run(t, subject, traits));
  }
}
