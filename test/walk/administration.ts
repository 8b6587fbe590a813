/** What administrators do beside the daily edits: requests, other ways to authenticate, and what they take away for a while. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decode } from '#test/support/auditor-facts.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentNamespaceDocuments, configurationText, issuerDocuments } from '#test/support/lab.ts';
import type { Random } from '#test/support/random.ts';
import { identityOf, namespaces, policyOf, poolOf, poolPath, pools } from './objects.ts';
import type { Kind } from './steps.ts';
import type { Walk } from './walk.ts';

const admission = fileURLToPath(new URL('../../manifests/admission', import.meta.url));
const admissionPath = '/apis/admissionregistration.k8s.io/v1';
const guard = '/api/v1/namespaces/ci-identity-system/secrets/guard';
const html = { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Please log in</html>' };
const refused = { status: 401, body: { error: 'invalid_client' } };

/** A pool is deleted under its sessions, and made anew. Returns once it is there again; its clients stay at the provider, or not. */
async function replacePool(walk: Walk, random: Random): Promise<void> {
  const name = random.pick(pools);
  const path = poolPath(name);
  const deletionPolicy = random.pick(['Delete', 'Retain']);
  await walk.repair();
  await walk.withdrawAcknowledgements();
  await walk.edit(path, ({ metadata, spec }) => {
    spec['deletionPolicy'] = deletionPolicy;
    if (deletionPolicy === 'Retain') walk.retained.add(String(metadata['uid']));
  });
  await walk.admin.send('DELETE', path);
  await eventually(
    `pool ${name} is gone`,
    async () => {
      await walk.acknowledge();
      return (await walk.admin.send('GET', path)).status === 404 ? true : undefined;
    },
    { timeoutMs: 120_000, everyMs: 250 },
  );
  await walk.apply(poolOf(name, walk.lab.provider.issuer));
}

/** An admission policy goes and comes back. Pods from before are trusted no more. */
async function breakGuard(walk: Walk, random: Random): Promise<void> {
  const kind = random.pick(['validatingadmissionpolicies', 'validatingadmissionpolicybindings']);
  const name = random.pick(['bindings', 'claims', 'identities', 'pods', 'secrets', 'use']);
  const from = Date.now();
  walk.proxy.heal();
  await walk.admin.send('DELETE', `${admissionPath}/${kind}/${name}.ci-identity.dev`);
  await walk.lab.kubectl(['apply', '--server-side', '-k', admission]);
  walk.trustedSince = await eventually(
    'the guard is whole again',
    async () => {
      const { data } = (await walk.get(guard)) as { readonly data: Readonly<Record<string, string>> };
      const record = JSON.parse(decode(data['record.json'])) as {
        readonly objects: object;
        readonly wholeSince: number;
      };
      return record.wholeSince > from && Object.keys(record.objects).length > 0 ? record.wholeSince : undefined;
    },
    { timeoutMs: 60_000 },
  );
  await walk.lab.guarded();
}

/** Every kind of step with its weight. */
export const administration: Readonly<Record<string, Kind>> = {
  'request annotated': {
    weight: 2,
    only: 'Long',
    step: (walk, random) =>
      walk.edit(poolPath(random.pick(pools)), ({ metadata }) => {
        const what = `ci-identity.dev/${random.pick(['revoke', 'rotate'])}`;
        metadata.annotations = { ...metadata.annotations, [what]: `a-${walk.nextNumber()}` };
      }),
  },
  emergency: {
    weight: 1,
    only: 'Long',
    step: (walk, random) =>
      walk.edit(poolPath(random.pick(pools)), ({ spec }) => {
        const request = `e-${walk.nextNumber()}`;
        Object.assign(spec, { revokeRequest: request, rotation: { ...(spec['rotation'] as object), request } });
      }),
  },
  'identity moved to a pool': {
    weight: 2,
    step: (walk, random) =>
      walk.apply(identityOf(random.pick(pools), random.pick(namespaces), random, { pool: random.pick(pools) })),
  },
  'identity selects other pods': {
    weight: 2,
    step(walk, random) {
      const agents = { podSelector: { matchLabels: { [`identity/${random.pick(pools)}`]: 'yes' } } };
      return walk.apply(identityOf(random.pick(pools), random.pick(namespaces), random, { agents }));
    },
  },
  'policy selects namespaces by label': {
    weight: 3,
    step: (walk, random) => {
      const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': random.pick(namespaces) } };
      return walk.apply(policyOf(random.pick(pools), random, { namespaceSelector }));
    },
  },
  'enforcement switched': {
    weight: 2,
    step: (walk, random) =>
      walk.edit(poolPath(random.pick(pools)), ({ spec }) => {
        spec['enforcement'] = random.pick(['Audit', 'Enforce']);
      }),
  },
  'overlap of rotations edited': {
    weight: 1,
    only: 'Long',
    step: (walk, random) =>
      walk.edit(poolPath(random.pick(pools)), ({ spec }) => {
        spec['ceiling'] = { ...(spec['ceiling'] as object), maxTokenLifetime: '1m' };
        spec['rotation'] = { ...(spec['rotation'] as object), overlap: random.pick(['1m', '1h']) };
      }),
  },
  // A secret that is lost with the answer to a registration waits for a person, so the provider is well at first.
  'authentication switched': {
    weight: 1,
    only: 'Long',
    async step(walk, random) {
      await walk.repair();
      await walk.edit(poolPath(random.pick(pools)), ({ spec }) => {
        const authentication = random.pick(['PrivateKeyJwt', 'ClientSecretBasic', 'ClientSecretPost']);
        spec['client'] = { ...(spec['client'] as object), authentication };
        spec['rotation'] = { ...(spec['rotation'] as object), allowSubjectChange: true };
      });
    },
  },
  'registry of clients in trouble': {
    weight: 2,
    only: 'Long',
    async step({ lab }, random) {
      const endpoint = random.pick(['register', 'read', 'update', 'delete', 'discovery'] as const);
      const trouble = random.pick([{ instead: { status: 503 } }, { dropRequest: true }, { instead: html }]);
      lab.provider.faults.add({ endpoint, times: 1 + random.below(2), ...trouble });
    },
  },
  'provider lies': {
    weight: 2,
    only: 'Long',
    async step({ lab }, random) {
      const endpoint = random.pick(['token', 'revocation'] as const);
      lab.provider.faults.add({ endpoint, times: 1 + random.below(2), instead: random.pick([html, refused]) });
    },
  },
  'rights taken or given back': {
    weight: 1,
    only: 'Long',
    step: (walk, random) => {
      const namespace = random.pick(namespaces);
      const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings/ci-identity-controller`;
      return walk.toggle(`rights in ${namespace}`, async () => {
        await walk.admin.send('DELETE', path);
        return () => walk.lab.apply(...agentNamespaceDocuments(namespace));
      });
    },
  },
  'configuration without the issuer or with it': {
    weight: 1,
    only: 'Long',
    step: (walk) =>
      walk.toggle('configuration', async () => {
        const write = (issuer: string): void =>
          writeFileSync(walk.lab.configFile, configurationText(issuer, walk.options));
        write('https://elsewhere.example.com');
        return async () => write(walk.lab.provider.issuer);
      }),
  },
  'registration token wrong or right': {
    weight: 1,
    only: 'Long',
    step: (walk) =>
      walk.toggle('registration token', async () => {
        const { provider } = walk.lab;
        await walk.lab.apply(
          ...issuerDocuments({
            issuer: provider.issuer,
            caPem: provider.caPem,
            initialAccessToken: 'wrong',
            stop: async () => {},
          }),
        );
        return () => walk.lab.apply(...issuerDocuments(provider));
      }),
  },
  'pool deleted and made anew': { weight: 2, only: 'Long', step: replacePool },
  'admission policy deleted and applied again': { weight: 2, only: 'Long', step: breakGuard },
  'API server restarted': {
    weight: 1,
    only: 'Long',
    step: (walk, random) => walk.restartApiServer(random.pick(['SIGTERM', 'SIGKILL'])),
  },
};
