import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { requireMachine } from '#test/cluster/requirements.ts';
import { makeServerCertificate } from '#test/providers/certificates.ts';
import { whyKeycloakCannotRun } from '#test/keycloak/distribution.ts';
import { type Lab, startLabWith } from '#test/support/lab.ts';
import { NotWanted, tellOnExisting } from './existing.ts';
import { createNarrator } from './narrator.ts';
import { keycloak, oidcProvider, type StoryProvider } from './providers.ts';
import { type Registry, startRegistry } from './registry.ts';
import { tellStory } from './story.ts';

const help = `npm run quickstart [-- --provider keycloak] [--keep]
npm run quickstart -- --kubeconfig FILE [--context NAME] [--image IMAGE] [--provider keycloak] [--yes]

Starts a Kubernetes cluster of its own (with a node where this machine can), an OpenID provider and a small artifact registry, installs the
operator and shows one agent pod getting, renewing and losing its token. Nothing is left behind.

  --provider keycloak   tells it with a real Keycloak, whose realm starts as Keycloak makes it (Java 17; Maven and 160 MB the first time)
  --keep                stays up afterwards and says how to look around
  --kubeconfig FILE     uses a cluster that is there already (1.36 or newer, as its administrator): shows what it will create, asks, and
                        removes it at the end, also at Ctrl-C. It never touches what was there before.
                        FILE may be several, as in $KUBECONFIG
  --context NAME        of that kubeconfig; default: the current one
  --image IMAGE         runs the agent pod there with this image, which has a shell; without it, no pod runs
  --yes                 does not ask
`;

const options = {
  provider: { type: 'string', default: 'oidc-provider' },
  keep: { type: 'boolean', default: false },
  kubeconfig: { type: 'string' },
  context: { type: 'string' },
  image: { type: 'string' },
  yes: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function valuesOf(
  argv: readonly string[],
): ReturnType<typeof parseArgs<{ readonly options: typeof options }>>['values'] {
  try {
    return parseArgs({ args: [...argv], options }).values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exit(2);
  }
}

const values = valuesOf(process.argv.slice(2));
if (values.help) {
  process.stdout.write(help);
  process.exit(0);
}

const useKeycloak = values.provider === 'keycloak';
if (!useKeycloak && values.provider !== 'oidc-provider') {
  process.stderr.write('--provider is keycloak or oidc-provider\n');
  process.exit(2);
}

for (const name of ['context', 'image', 'yes'] as const) {
  if (values.kubeconfig !== undefined || !values[name]) continue;
  process.stderr.write(
    `--${name} goes together with --kubeconfig: without it the story is told on a cluster of its own\n`,
  );
  process.exit(2);
}

// Who closes the terminal, or the pipe to another program, no longer reads; what was created is removed all the same.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const print = (text: string): void => void process.stdout.write(text);
const narrator = createNarrator(print);
const ending: (() => Promise<void>)[] = [];
let ended: Promise<boolean> | undefined;

/** Whether all of it worked. Whoever asks while it is under way waits for it. */
function end(): Promise<boolean> {
  return (ended ??= endAll());
}

async function endAll(): Promise<boolean> {
  let clean = true;
  for (const work of ending.splice(0).toReversed()) {
    await work().catch((error: unknown) => {
      clean = false;
      print(`           ${error instanceof Error ? error.message : String(error)}\n`);
    });
  }
  return clean;
}

const isLeft = 'not everything could be cleaned up; see above.';
let stopping = false;
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => {
    if (stopping) return narrator.say('Still cleaning up; wait a moment.');
    stopping = true;
    void end().then((clean) => {
      narrator.say(clean ? 'Interrupted; nothing is left behind.' : `Interrupted, and ${isLeft}`);
      process.exit(code);
    });
  });
}

async function main(): Promise<void> {
  const missing = useKeycloak ? await whyKeycloakCannotRun() : undefined;
  if (missing !== undefined) throw new Error(`${missing}.`);
  const { kubeconfig, context, image, yes, keep } = values;
  if (kubeconfig !== undefined) {
    if (keep) throw new Error('--keep and --kubeconfig do not go together: the operator runs beside this process');
    await tellOnExisting({
      kubeconfig,
      yes,
      narrator,
      ending,
      startProvider: () => (useKeycloak ? keycloak((line) => narrator.say(line)) : oidcProvider()),
      ...(context === undefined ? {} : { context }),
      ...(image === undefined ? {} : { image }),
    });
    return;
  }
  const obstacle = await requireMachine(true).then(
    () => undefined,
    (error: Error) => error.message,
  );
  if (obstacle !== undefined)
    narrator.say(
      `No pod can run on this machine: ${obstacle}. The quickstart shows those steps instead of performing them.`,
    );
  const node = obstacle === undefined ? ', containerd, kubelet, kube-proxy' : '';
  const beside = useKeycloak ? 'a real Keycloak with a stock realm' : 'an OpenID provider';
  const log = (line: string): void => narrator.say(line);
  const lab = await narrator.step(
    `Cluster up: etcd, kube-apiserver, kube-controller-manager, kube-scheduler${node}; ${beside} beside it; crds/, policies and RBAC applied`,
    () =>
      startLabWith(() => (useKeycloak ? keycloak(log) : oidcProvider()), {
        node: obstacle === undefined,
        profile: useKeycloak ? 'Keycloak' : 'Generic',
        deliveryLag: '10s',
        log,
      }),
  );
  ending.push(() => lab.stop());
  const registry = await narrator.step(`Artifact registry up: ${lab.provider.checkedBy}`, () => startOwnRegistry(lab));
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

async function startOwnRegistry(lab: Lab<StoryProvider>): Promise<Registry> {
  const certificate = await makeServerCertificate(mkdtempSync(join(lab.dir, 'registry-')), ['127.0.0.1', 'localhost']);
  return startRegistry({ check: await lab.provider.check(), certificate });
}

main()
  .then(end)
  .then(
    (clean) => {
      if (stopping) return;
      narrator.say(clean ? 'Done; nothing is left behind.' : `Done, but ${isLeft}`);
      process.exit(clean ? 0 : 1);
    },
    async (error: unknown) => {
      // What is under way when somebody presses Ctrl-C fails because it is being taken away.
      if (stopping) return;
      const message = error instanceof Error ? error.message : String(error);
      print(error instanceof NotWanted ? `${message}\n` : `\nThe quickstart failed: ${message}\n`);
      await end();
      if (!stopping) process.exit(1);
    },
  );
