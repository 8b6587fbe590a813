/** What may happen in one step of the walk: edits, births and deaths of pods, and everything that breaks. */
import { identity, policy } from '#test/api/operator-lab.ts';
import type { ProxiedRequest } from '#test/support/fault-proxy.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import type { Random } from '#test/support/random.ts';
import { administration } from './administration.ts';
import { goAndComeBack, leave, unread } from './calamities.ts';
import {
  given,
  identityOf,
  identityPath,
  namespaces,
  policyOf,
  policyPath,
  poolPath,
  pools,
  roles,
  scopes,
} from './objects.ts';
import type { Walk } from './walk.ts';

const stop = 'ci-identity.dev/emergency-stop';
const emergencyStop = '/api/v1/namespaces/ci-identity-system/configmaps/emergency-stop';
const podPath = (namespace: string, name: string): string => `/api/v1/namespaces/${namespace}/pods/${name}`;

/** So many that a kind which goes takes more than ten sessions along, which the brake holds back; and so few that no single identity does. */
export const mostPods = 16;

/** How often something stands in the way. Seven things can stop a session, and a walk in which nothing is issued shows nothing. */
const stopped = 0.1;
interface Edited {
  metadata: { annotations?: Record<string, string>; labels?: Record<string, string>; [more: string]: unknown };
  spec: Record<string, unknown> & { suspend?: boolean };
  status?: Record<string, unknown>;
}

function annotate({ metadata }: Edited, name: string, is: boolean): void {
  const { [name]: _, ...rest } = metadata.annotations ?? {};
  metadata.annotations = is ? { ...rest, [name]: 'walk' } : rest;
}

/** Nothing stands in the way any more: every stop is lifted, and policies give everything. */
export async function allow(walk: Walk): Promise<void> {
  const allowed = (raw: Edited): void => {
    annotate(raw, stop, false);
    raw.spec.suspend = false;
  };
  await walk.admin.send('DELETE', emergencyStop);
  for (const name of namespaces)
    await walk.edit(`/api/v1/namespaces/${name}`, (raw) => {
      annotate(raw, stop, false);
      raw.metadata.labels = { ...raw.metadata.labels, 'ci-identity.dev/inject': 'enabled' };
    });
  for (const name of pools) {
    const rules = roles.map((role) => ({ role, pool: name, scopes, namespaces: [...namespaces] }));
    await walk.apply(policy(name, ...rules));
    await walk.edit(poolPath(name), (raw) => {
      allowed(raw);
      raw.spec['ceiling'] = { ...(raw.spec['ceiling'] as object), scopes };
      raw.spec['enforcement'] = 'Enforce';
    });
    for (const namespace of namespaces) {
      await walk.apply(identity(name, { pool: name, roles: [...roles] }, namespace));
      await walk.edit(identityPath(namespace, name), (raw) => {
        allowed(raw);
        delete raw.spec['scopes'];
      });
    }
  }
}

export type Step = (walk: Walk, random: Random) => Promise<unknown>;

export interface Kind {
  readonly weight: number;
  /** Whoever waits has to be patient afterwards: only with `WALK_ALL=1`. */
  readonly only?: 'Long';
  readonly step: Step;
}

const somewhere = (random: Random): string => identityPath(random.pick(namespaces), random.pick(pools));

/** What happens while nobody reads the audit streams; whoever dies then takes lines along. */
const passing: Step = (walk, random) =>
  steps[random.pick(['birth', 'death', 'policy edited', 'identity edited', 'suspended or not'])]?.step(walk, random) ??
  Promise.resolve();

/** Every kind of step with its weight. */
export const steps: Readonly<Record<string, Kind>> = {
  birth: {
    weight: 30,
    async step(walk, random) {
      if (walk.pods.length >= mostPods) return;
      const namespace = random.pick(namespaces);
      const name = `walk-${walk.nextNumber()}-x7k2p-q0b4t-m1wz9`;
      const labels = Object.fromEntries(random.some(pools, 1).map((one) => [`identity/${one}`, 'yes']));
      const answer = await walk.jenkins.send(
        'POST',
        `/api/v1/namespaces/${namespace}/pods`,
        agentPod({ name, namespace, labels }),
      );
      if (answer.status === 201) walk.pods.push({ namespace, name });
      else if (answer.status !== 403 && answer.status !== 422) throw new Error(`a pod was refused: ${answer.text}`);
    },
  },
  death: {
    weight: 22,
    async step(walk, random) {
      if (walk.pods.length === 0) return;
      const [pod] = walk.pods.splice(random.below(walk.pods.length), 1);
      if (pod === undefined) return;
      const path = podPath(pod.namespace, pod.name);
      const phase = random.pick(['Deleted', 'Deleted', 'Succeeded', 'Failed']);
      if (phase === 'Deleted') return walk.admin.send('DELETE', path, { gracePeriodSeconds: 0 });
      walk.ended.push(pod);
      return walk.edit(`${path}/status`, (raw) => void ((raw as unknown as Edited).status = { phase }));
    },
  },
  burial: {
    weight: 6,
    async step(walk) {
      const pod = walk.ended.shift();
      if (pod !== undefined)
        await walk.admin.send('DELETE', podPath(pod.namespace, pod.name), { gracePeriodSeconds: 0 });
    },
  },
  'policy edited': { weight: 8, step: (walk, random) => walk.apply(policyOf(random.pick(pools), random)) },
  'policy deleted': { weight: 2, step: (walk, random) => walk.admin.send('DELETE', policyPath(random.pick(pools))) },
  'identity edited': {
    weight: 8,
    step: (walk, random) => walk.apply(identityOf(random.pick(pools), random.pick(namespaces), random)),
  },
  'identity deleted': { weight: 2, step: (walk, random) => walk.admin.send('DELETE', somewhere(random)) },
  'ceiling edited': {
    weight: 4,
    step: (walk, random) =>
      walk.edit(poolPath(random.pick(pools)), ({ spec }) => {
        spec['ceiling'] = { ...(spec['ceiling'] as object), scopes: random.some(scopes, 1, given) };
      }),
  },
  'suspended or not': {
    weight: 5,
    step: (walk, random) =>
      walk.edit(random.next() < 0.4 ? poolPath(random.pick(pools)) : somewhere(random), ({ spec }) => {
        spec.suspend = random.next() < stopped;
      }),
  },
  'emergency stop or not': {
    weight: 5,
    step(walk, random) {
      const anywhere = [
        poolPath(random.pick(pools)),
        somewhere(random),
        `/api/v1/namespaces/${random.pick(namespaces)}`,
      ];
      return walk.edit(random.pick(anywhere), (raw) => annotate(raw, stop, random.next() < stopped));
    },
  },
  'emergency stop of everything or not': {
    weight: 4,
    async step(walk, random) {
      if (random.next() >= stopped) return walk.admin.send('DELETE', emergencyStop);
      const [path, name] = [emergencyStop.slice(0, emergencyStop.lastIndexOf('/')), 'emergency-stop'];
      return walk.admin.send('POST', path, { metadata: { name } });
    },
  },
  'namespace opted in or not': {
    weight: 4,
    step: (walk, random) =>
      walk.edit(`/api/v1/namespaces/${random.pick(namespaces)}`, ({ metadata }) => {
        const { 'ci-identity.dev/inject': _, ...rest } = metadata.labels ?? {};
        metadata.labels = random.next() < stopped ? rest : { ...rest, 'ci-identity.dev/inject': 'enabled' };
      }),
  },
  'revocation asked for': {
    weight: 3,
    step: (walk, random) =>
      walk.edit(poolPath(random.pick(pools)), ({ spec }) => void (spec['revokeRequest'] = `r-${walk.nextNumber()}`)),
  },
  'rotation asked for': {
    weight: 2,
    step: (walk, random) =>
      walk.edit(poolPath(random.pick(pools)), ({ spec }) => {
        spec['rotation'] = { ...(spec['rotation'] as object), request: `r-${walk.nextNumber()}` };
      }),
  },
  'delivery deleted': {
    weight: 2,
    async step(walk, random) {
      if (walk.pods.length === 0) return;
      const { namespace, name } = random.pick(walk.pods);
      await walk.admin.send(
        'DELETE',
        `/api/v1/namespaces/${namespace}/secrets/ci-identity-${random.pick(pools)}.${name}`,
      );
    },
  },
  'provider in trouble': {
    weight: 8,
    async step({ lab }, random) {
      const endpoint = random.pick(['token', 'revocation'] as const);
      const times = 1 + random.below(3);
      const trouble = random.pick([
        { instead: { status: 503 } },
        { instead: { status: 429, headers: { 'retry-after': '1' } } },
        { dropAnswer: true },
        { dropRequest: true },
        { delay: 700 },
      ]);
      lab.provider.faults.add({ endpoint, times, ...trouble });
    },
  },
  'provider goes or comes back': {
    weight: 3,
    async step(walk) {
      walk.outage?.();
      walk.outage = walk.outage === undefined ? walk.lab.provider.faults.add({ dropRequest: true }) : undefined;
    },
  },
  'API server in trouble': {
    weight: 6,
    async step({ proxy }, random) {
      if (random.next() < 0.3) return proxy.killStreams();
      const fault = random.pick([
        { type: 'Answer', status: 503 },
        { type: 'Answer', status: 429, headers: { 'retry-after': '1' } },
        { type: 'Reset' },
        { type: 'AnswerLost' },
        { type: 'Delay', ms: 500 },
      ] as const);
      const isLease = (path: string): boolean => path.includes('/leases/');
      proxy.on({ when: ({ path, watch }) => !watch && !isLease(path), times: 1 + random.below(4), fault });
    },
  },
  'Secrets written in vain': {
    weight: 4,
    async step({ proxy }, random) {
      const fault = random.pick([{ type: 'Answer', status: 500 }, { type: 'Reset' }, { type: 'AnswerLost' }] as const);
      const where = random.pick([...namespaces, 'ci-identity-system']);
      const when = ({ method, path }: ProxiedRequest): boolean =>
        method !== 'GET' && path.startsWith(`/api/v1/namespaces/${where}/secrets`);
      proxy.on({ when, times: 2, fault });
    },
  },
  'audit streams unread': { weight: 2, step: (walk, random) => unread(walk, random, passing) },
  'kind deleted and made anew': { weight: 0.6, step: goAndComeBack },
  'namespace deleted and made anew': { weight: 0.6, step: leave },
  ...administration,
  'lease taken from the leader': { weight: 2, step: (walk) => walk.depose() },
  'leader frozen': { weight: 1, step: (walk, random) => walk.freeze(1_500 + random.below(2_000)) },
  'operator killed': { weight: 2, step: (walk, random) => walk.replace(random, 'SIGKILL') },
  'operator restarted': { weight: 1, step: (walk, random) => walk.replace(random, 'SIGTERM') },
};

/** Those of this walk. */
export const kinds: Readonly<Record<string, Kind>> = Object.fromEntries(
  Object.entries(steps).filter(([, { only }]) => only === undefined || process.env['WALK_ALL'] === '1'),
);
