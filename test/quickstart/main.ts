import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { requireMachine } from '#test/cluster/requirements.ts';
import { makeServerCertificate } from '#test/providers/certificates.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import { createNarrator } from './narrator.ts';
import { type Registry, startRegistry } from './registry.ts';
import { registerResourceServer } from './resource-server.ts';
import { tellStory } from './story.ts';

const help = `npm run quickstart [-- --keep]

Starts a Kubernetes cluster of its own (with a node where this machine can), an OpenID provider and a small artifact registry, installs the
operator and shows one agent pod getting, renewing and losing its token. Nothing is left behind.

  --keep   stays up afterwards and says how to look around
`;

const { values } = parseArgs({
  options: { keep: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
});
if (values.help) {
  process.stdout.write(help);
  process.exit(0);
}

const print = (text: string): void => void process.stdout.write(text);
const narrator = createNarrator(print);
const ending: (() => Promise<void>)[] = [];

async function end(): Promise<void> {
  for (const work of ending.splice(0).toReversed())
    await work().catch((error: unknown) => print(`           ${String(error)}\n`));
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void end().then(() => process.exit(130)));
}

async function main(): Promise<void> {
  const obstacle = await requireMachine(true).then(
    () => undefined,
    (error: Error) => error.message,
  );
  if (obstacle !== undefined)
    narrator.say(
      `No pod can run on this machine: ${obstacle}. The quickstart shows those steps instead of performing them.`,
    );
  const lab = await narrator.step(
    obstacle === undefined
      ? 'Cluster up: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, containerd, kubelet, kube-proxy; an OpenID provider beside it; crds/, policies and RBAC applied'
      : 'Cluster up: etcd, kube-apiserver, kube-controller-manager, kube-scheduler; an OpenID provider beside it; crds/, policies and RBAC applied',
    () =>
      startLab({
        node: obstacle === undefined,
        tokenLifetime: 80,
        deliveryLag: '10s',
        log: (line) => narrator.say(line),
      }),
  );
  ending.push(() => lab.stop());
  const registry = await narrator.step('Artifact registry up: it introspects every token', () => startOwnRegistry(lab));
  ending.push(() => registry.stop());
  const operator = lab.operator();
  await narrator.step(
    'Operator ready: it leads, has read everything, and the admission policies are whole',
    async () => {
      await operator.ready(60_000);
      await lab.guarded();
    },
  );
  await tellStory(lab, registry, narrator, obstacle === undefined);
  if (!values.keep) return;
  narrator.say('Staying up (--keep). To look around:');
  narrator.show(
    [
      `export KUBECONFIG=${lab.cluster.kubeconfig} PATH=${join(lab.cluster.kubectl, '..')}:$PATH`,
      'kubectl describe identitypool ci-bots',
      'kubectl describe ciidentity -n ci-payments publisher',
      'kubectl get events -A',
      `less ${operator.logFile}`,
      `less ${operator.auditFile}`,
      'Ctrl-C ends everything.',
    ].join('\n'),
  );
  await new Promise(() => setInterval(() => undefined, 60_000));
}

/** The registry's own client at the provider may introspect and nothing else. */
async function startOwnRegistry(lab: Lab): Promise<Registry> {
  const { issuer, caPem, initialAccessToken } = lab.provider;
  const client = await registerResourceServer({ issuer, caPem, initialAccessToken });
  const certificate = await makeServerCertificate(mkdtempSync(join(lab.dir, 'registry-')), ['127.0.0.1', 'localhost']);
  return startRegistry({ audience: 'https://registry.example.com', ...client, providerCa: caPem, certificate });
}

main()
  .then(end)
  .then(
    () => {
      narrator.say('Done; nothing is left behind.');
      process.exit(0);
    },
    async (error: unknown) => {
      print(`\nThe quickstart failed: ${error instanceof Error ? error.message : String(error)}\n`);
      await end();
      process.exit(1);
    },
  );
