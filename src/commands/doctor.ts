import { clean } from '../clean.ts';
import { asClause, capitalised } from '../domain/access/explain.ts';
import { printAnswer } from './answer.ts';
import { type Description, clusterWideOptions, noNames, outputOption } from './arguments.ts';
import { checks } from './doctor-checks.ts';
import { conditionChecks } from './doctor-conditions.ts';
import { type Facts, gatherFacts } from './doctor-facts.ts';
import type { Finding } from './doctor-findings.ts';
import { nameChecks } from './doctor-names.ts';
import { ownRights } from './doctor-operator.ts';
import { rightsChecks } from './doctor-rights.ts';
import { clusterVerb } from './run.ts';
import { exitCodes } from './surface.ts';
import { counted } from './words.ts';

const description: Description = {
  name: 'doctor',
  synopsis: '',
  about:
    'Looks at the whole installation: versions, custom resource definitions, admission policies, leader, clocks, labels and rights of agent\nnamespaces, excess rights, stops, and what the operator says about pools, policies and identities, the provider included. What the policies deny\non purpose is told for information, what you may not read as not checked.',
  examples: [
    ['After installing, and when something is odd', 'doctor'],
    ['In a pipeline', 'doctor -o json'],
  ],
  options: [...clusterWideOptions, outputOption],
  refusesNames: noNames,
  exit: '0 no problem was found (there may be warnings, and things that you may not see), 2 there is one, 1 nothing could be looked at.',
};

export const runDoctor = clusterVerb(description, async (cluster, args, surface) => {
  const findings = diagnose(await gatherFacts(cluster));
  printAnswer(args, surface, { json: { findings }, text: findingsText(findings) });
  return findings.some(({ level }) => level === 'Problem') ? exitCodes.no : exitCodes.done;
});

const order = ['Problem', 'Warning', 'Info', 'Unchecked'] as const;

/** Pure: everything that there is to know, the worst first, nothing twice. */
export function diagnose(facts: Facts): readonly Finding[] {
  const all = [...checks, ...conditionChecks, ...nameChecks, ownRights, ...rightsChecks].flatMap((check) =>
    check(facts),
  );
  const sorted = order.flatMap((level) => all.filter((finding) => finding.level === level));
  const texts = sorted.map(textOf);
  return sorted.filter((_, index) => texts.indexOf(texts[index] ?? '') === index);
}

/** Pure: the findings for people. */
export function findingsText(findings: readonly Finding[]): string {
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length;
  const summary = `${counted(count('Problem'), 'problem', 'problems')}, ${counted(count('Warning'), 'warning', 'warnings')}, ${count('Info')} for information, ${count('Unchecked')} not checked.\n`;
  return [...findings.map((finding) => `${textOf(finding)}\n`), ...(findings.length === 0 ? [] : ['\n']), summary].join(
    '',
  );
}

/** Subject – what – why – what to do. Names and reasons that others wrote lose their control characters. */
function textOf({ level, subject, what, why, fix }: Finding): string {
  const todo = fix.startsWith('kubectl') ? fix : capitalised(fix);
  return clean(`${level.toUpperCase().padEnd(9)}  ${subject} ${what}: ${asClause(why)}. ${todo}.`, 3_000);
}
