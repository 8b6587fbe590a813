import { useRight } from '../api/names.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import { clean } from '../clean.ts';
import { systemClock } from '../clock.ts';
import { notOptedIn, ruleName } from '../domain/access/explain.ts';
import { type Answer, type Inquiry, answersTo } from '../domain/access/inquiry.ts';
import { passedOver } from '../domain/access/missed.ts';
import { selectsPod } from '../domain/access/selectors.ts';
import { stopSentence } from '../domain/access/stops.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import { kinds } from '../kube/resources.ts';
import { trimPod } from '../kube/trim.ts';
import { printAnswer } from './answer.ts';
import { type Arguments, type Description, clusterOptions, didYouMean, outputOption, valueOf } from './arguments.ts';
import { type Cluster, required } from './cluster.ts';
import { type Objects, identitiesOf, inputOf, isOptedIn, readObjects, stopFor } from './objects.ts';
import { type Prediction, predict, wholeBefore } from './predict.ts';
import { clusterVerb } from './run.ts';
import { CommandError, exitCodes } from './surface.ts';
import { renderTable } from './table.ts';
import { answersOfStatus } from './status-answers.ts';
import { inSentences } from './words.ts';

const description: Description = {
  name: 'explain',
  synopsis: '[pod/NAME | ciidentity/NAME | NAME] [SCOPE]',
  about:
    'Says of each scope and audience which rule grants it, or why it is missing and what to do. A bare NAME is a CiIdentity; without one,\nall of the namespace. A SCOPE that nobody asks for is judged as if it were. Where you may not read pools and policies, the answer is\nwhat the operator wrote into the status of the CiIdentity.',
  examples: [
    [
      'Why does this build not have deploy:production?',
      'explain -n ci-payments pod/payments-42-x7k2p deploy:production',
    ],
    ['Everything that an identity has and lacks', 'explain -n ci-payments publisher'],
    ['In a script: has it?', 'explain -n ci-payments publisher artifacts:publish -o json'],
  ],
  options: [...clusterOptions, { name: 'audience', placeholder: 'URL', help: 'Only this audience.' }, outputOption],
  exit: '0 everything that was asked about is granted, 2 something is not, 1 it could not be answered.',
};

export interface IdentityReport {
  readonly namespace: string;
  readonly identity: string;
  readonly pool: string;
  readonly roles: readonly string[];
  /** `Status`: the caller may not read what decides, so the operator's own words are repeated. */
  readonly from: 'Objects' | 'Status';
  readonly answers: readonly Answer[];
  readonly stopped?: string;
  /** Why nothing is minted, whatever is granted: admission policies that are not whole. */
  readonly unguarded?: string;
  /** Why new pods start without it, whatever is granted: their namespace lacks the label. */
  readonly withoutLabel?: string;
  /** For a pod: what the operator does with it. */
  readonly pod?: {
    readonly name: string;
    readonly claimed: boolean;
    readonly note?: string;
    readonly next?: Prediction;
  };
}

export const runExplain = clusterVerb(description, async (cluster, args, surface) => {
  const [first, second, ...more] = args.positionals;
  if (more.length > 0) throw new CommandError('at most a name and a scope are expected; see --help');
  const subject = subjectOf(first);
  const audience = valueOf(args, 'audience');
  const inquiry: Inquiry = {
    ...(second === undefined ? {} : { scope: second }),
    ...(audience === undefined ? {} : { audience }),
  };
  await cluster.requireNamespace(cluster.namespace);
  const objects = await readObjects(cluster, [cluster.namespace]);
  const identities = await identitiesOf(cluster, cluster.namespace);
  const { reports, notes = [] }: Explained =
    subject.kind === 'pod'
      ? await explainPod(cluster, objects, identities, subject.name, inquiry)
      : {
          reports: named(identities, subject.name, cluster.namespace).map((one) =>
            explainIdentity(objects, one, inquiry),
          ),
        };
  printAnswer(args, surface, {
    json: { identities: reports },
    text: reportsText(reports),
    notes: [...objects.withheld, ...notes],
  });
  return exitOf(reports, args);
});

interface Explained {
  readonly reports: readonly IdentityReport[];
  readonly notes?: readonly string[];
}

type Subject = { readonly kind: 'pod'; readonly name: string } | { readonly kind: 'identity'; readonly name?: string };

function subjectOf(text: string | undefined): Subject {
  if (text === undefined) return { kind: 'identity' };
  const [kind = '', name] = text.split('/');
  if (name === undefined) return { kind: 'identity', name: kind };
  if (['pod', 'pods', 'po'].includes(kind) && name !== '') return { kind: 'pod', name };
  if (['ciidentity', 'ciidentities', 'cid', 'identity'].includes(kind) && name !== '')
    return { kind: 'identity', name };
  throw new CommandError('only a pod (pod/NAME) or a CiIdentity (ciidentity/NAME) can be explained');
}

function named(identities: readonly CiIdentity[], name: string | undefined, namespace: string): readonly CiIdentity[] {
  const found = identities.filter(({ metadata }) => name === undefined || metadata.name === name);
  if (found.length > 0) return found;
  if (name === undefined) throw new CommandError(`namespace ${namespace} has no CiIdentity`);
  const known = identities.map(({ metadata }) => metadata.name);
  const others = known.length === 0 ? 'has none' : `has ${clean(known.join(', '))}`;
  throw new CommandError(
    `CiIdentity ${namespace}/${name} does not exist${didYouMean(name, known)}; the namespace ${others}`,
  );
}

/** Pure: what can be said of one identity. */
export function explainIdentity(objects: Objects, identity: CiIdentity, inquiry: Inquiry): IdentityReport {
  const input = inputOf(objects, identity);
  const known = answersTo(input, inquiry);
  const { namespace = '' } = identity.metadata;
  const place = objects.namespaces.get(namespace) ?? { is: 'Unknown' };
  const stop = stopFor(identity, input.pool, place);
  return {
    namespace,
    identity: identity.metadata.name,
    pool: identity.spec.pool,
    roles: identity.spec.roles,
    ...(known.is === 'Seen'
      ? { from: 'Objects' as const, answers: known.value }
      : { from: 'Status' as const, answers: answersOfStatus(identity, inquiry) }),
    ...(stop === undefined ? {} : { stopped: stopSentence(stop) }),
    ...withoutGuard(identity),
    ...(isOptedIn(place) === false ? { withoutLabel: notOptedIn(namespace) } : {}),
  };
}

/** Policies may grant what the operator still does not mint: its status tells that admission policies are not whole. */
function withoutGuard({ status }: CiIdentity): Pick<IdentityReport, 'unguarded'> {
  const found = (status?.conditions ?? []).find(
    ({ reason, status: is }) => reason === 'GuardMissing' && is === 'False',
  );
  return found === undefined ? {} : { unguarded: found.message };
}

async function explainPod(
  cluster: Cluster,
  objects: Objects,
  identities: readonly CiIdentity[],
  name: string,
  inquiry: Inquiry,
): Promise<Explained> {
  const raw = required(await cluster.get<unknown>(kinds.pods, { namespace: cluster.namespace, name }));
  if (raw === undefined) throw new CommandError(`Pod ${cluster.namespace}/${name} does not exist`);
  const pod = trimPod(raw);
  const concerned = identities.filter(
    (one) => Object.hasOwn(pod.claims, one.metadata.name) || selectsPod(one, pod.labels, pod.containers),
  );
  const gone = Object.keys(pod.claims).filter((claim) => !identities.some(({ metadata }) => metadata.name === claim));
  const notes = passedOver(pod, identities).map(({ message }) => message);
  if (concerned.length === 0) {
    const why =
      gone.length > 0
        ? `CiIdentity ${gone.join(', ')}, which it was given, was deleted`
        : 'no CiIdentity of its namespace selects it; see spec.agents.podSelector and spec.delivery.containers';
    throw new CommandError(inSentences([`Pod ${cluster.namespace}/${name} has no identity: ${why}`, ...notes]));
  }
  const reports = await Promise.all(
    concerned.map(async (identity) => {
      const report = explainIdentity(objects, identity, inquiry);
      if (!Object.hasOwn(pod.claims, identity.metadata.name)) {
        const note =
          report.withoutLabel === undefined
            ? 'the CiIdentity selects this pod, but the pod was created without it: before the identity, the label on its namespace or the admission policies were there. Create the pod again.'
            : 'the CiIdentity selects this pod, but the pod was created without it. Create the pod again once the namespace has the label.';
        return { ...report, pod: { name, claimed: false, note } };
      }
      return { ...report, pod: { name, claimed: true, next: await nextOf(cluster, objects, identity, pod) } };
    }),
  );
  return { reports, notes };
}

async function nextOf(cluster: Cluster, objects: Objects, identity: CiIdentity, pod: PodFacts): Promise<Prediction> {
  const namespace = identity.metadata.namespace ?? '';
  const allowed =
    pod.requester === undefined
      ? undefined
      : await cluster.may(pod.requester, { ...useRight, namespace, name: identity.metadata.name });
  const now = systemClock.now();
  return predict(
    {
      identity,
      input: inputOf(objects, identity),
      namespace: objects.namespaces.get(namespace) ?? { is: 'Unknown' },
      pod,
      mayUse: allowed === undefined ? { is: 'Unknown' } : { is: 'Seen', value: allowed },
      guard: wholeBefore(pod.created),
    },
    now,
  );
}

const words: Readonly<Record<Answer['outcome'], string>> = {
  Granted: 'yes',
  WouldDeny: 'yes (Audit)',
  Denied: 'no',
  NotAsked: 'no',
  LeftOut: 'no',
};

function isYes({ outcome }: Answer): boolean {
  return outcome === 'Granted' || outcome === 'WouldDeny';
}

function exitOf(reports: readonly IdentityReport[], args: Arguments): number {
  const scoped = args.positionals.length > 1 || valueOf(args, 'audience') !== undefined;
  const lacks = reports.some(({ answers, stopped, unguarded, withoutLabel, pod }) => {
    const bad = answers.filter((answer) => !isYes(answer) && (scoped || answer.outcome === 'Denied'));
    return (
      bad.length > 0 ||
      stopped !== undefined ||
      unguarded !== undefined ||
      withoutLabel !== undefined ||
      (pod !== undefined && (!pod.claimed || pod.next?.does === 'Error'))
    );
  });
  return lacks ? exitCodes.no : exitCodes.done;
}

/** Pure: the report for people. */
export function reportsText(reports: readonly IdentityReport[]): string {
  return reports.map(reportText).join('\n');
}

function reportText(report: IdentityReport): string {
  const { answers, pod } = report;
  const rows = answers.map(({ outcome, scope = '-', audience = '-', by, reason }) => [
    words[outcome],
    scope,
    audience,
    by === undefined || !isYes({ outcome, reason, message: '' })
      ? outcome === 'NotAsked'
        ? 'NotAsked'
        : reason
      : ruleName(by),
  ]);
  const sentences = answers.filter((answer) => answer.outcome !== 'Granted').map(sentenceOf);
  const head = `CiIdentity ${report.namespace}/${report.identity}: ${report.roles.length === 1 ? 'role' : 'roles'} ${report.roles.join(', ')} of IdentityPool ${report.pool}${report.from === 'Status' ? ' (from its status)' : ''}`;
  return [
    `${head}\n\n${renderTable(['HAS IT', 'SCOPE', 'AUDIENCE', 'WHY'], rows)}`,
    ...(sentences.length === 0 ? [] : [`${[...new Set(sentences)].map((text) => `- ${text}\n`).join('')}`]),
    ...(report.stopped === undefined ? [] : [`It is ${report.stopped}\n`]),
    ...(report.unguarded === undefined ? [] : [`All the same ${report.unguarded}\n`]),
    ...(report.withoutLabel === undefined ? [] : [`All the same ${report.withoutLabel}\n`]),
    ...(pod === undefined ? [] : [podText(pod)]),
  ].join('\n');
}

function sentenceOf({ outcome, message }: Answer): string {
  return outcome === 'NotAsked' ? `not asked for; if it were: ${message}` : message;
}

function podText({ name, claimed, note, next }: NonNullable<IdentityReport['pod']>): string {
  if (!claimed) return `Pod ${name}: ${note ?? ''}\n`;
  if (next?.does === 'Token')
    return `Pod ${name} has this identity and gets tokens with ${(next.scopes ?? []).join(' ')}.\n`;
  const why = next?.message ?? next?.reason ?? '';
  return next?.does === 'Error'
    ? `Pod ${name} gets an error: ${inSentences([why, next.fix])}\n`
    : `Pod ${name} waits: ${inSentences([why])}\n`;
}
