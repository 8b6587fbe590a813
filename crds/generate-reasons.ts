/**
 * `npm run generate`, second half: makes `src/api/README.md` from the tables `src/api/reasons.ts` and `src/api/troubleshooting.ts`, so that the
 * documentation cannot lag behind.
 */
import { writeFile } from 'node:fs/promises';
import { format } from 'prettier';
import { conditionTypes, reasons } from '../src/api/reasons.ts';
import { remedies } from '../src/api/troubleshooting.ts';

export const reasonsFile = new URL('../src/api/README.md', import.meta.url);

/** The text of the file. Writes nothing. */
export function reasonsText(): Promise<string> {
  const rows = (table: Readonly<Record<string, string>>): string =>
    Object.entries(table)
      .map(([name, meaning]) => `| \`${name}\` | ${meaning} |`)
      .join('\n');
  const steps = Object.entries(remedies)
    .map(([reason, { cause, step, by }]) => `| \`${reason}\` | ${cause} | ${step} | ${by} |`)
    .join('\n');
  const text = `# What users and YAML see

<!-- Made by npm run generate from reasons.ts and troubleshooting.ts; do not edit. -->

Names (\`names.ts\`), the generated types of the three kinds (\`v1alpha1/\`), object metadata (\`meta.ts\`), the one table of conditions and
reasons (\`reasons.ts\`), and what to do about them (\`troubleshooting.ts\`, \`provider-remedies.ts\`, each a \`remedy.ts\`). No logic. Anything may import it; start with \`names.ts\`.

## Conditions

True is good, but for \`Reconciling\` and \`Stalled\`, which are there only while they are true (kstatus).

| condition | meaning |
| --- | --- |
${rows(conditionTypes)}

## Reasons

The same word stands in conditions, events, audit lines and the metric label \`reason\`. The message beside it says what to do.

| reason | meaning |
| --- | --- |
${rows(reasons)}

## Troubleshooting by message

Look for the word after \`Reason\` in \`kubectl get\`, in \`error.json\` in the pod, in the event, or in what Jenkins prints when a pod is refused. The
message beside it is more exact than this table: it names the object, quotes the provider and says which value to write where. It heals by itself
within minutes once the cause is gone, within ten at the latest. What the provider refused is tried again at once after a change of the pool, such as
\`kubectl annotate --overwrite identitypool NAME ci-identity.dev/retry="$(date +%s)"\`.

| reason | what lies behind it | step | who |
| --- | --- | --- | --- |
${steps}
`;
  return format(text, { parser: 'markdown', printWidth: 120 });
}

if (import.meta.main) {
  await writeFile(reasonsFile, await reasonsText());
  console.log(`wrote ${reasonsFile.pathname}`);
}
