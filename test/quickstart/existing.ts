import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { makeServerCertificate } from '#test/providers/certificates.ts';
import { configurationText, guarded, issuerDocuments } from '#test/support/lab.ts';
import { type OperatorProcess, startOperator } from '#test/support/operator-process.ts';
import { creatorsNamespace, listOf, visit } from './guest.ts';
import type { Narrator } from './narrator.ts';
import type { StoryProvider } from './providers.ts';
import { startRegistry } from './registry.ts';
import { type Stage, tellStory } from './story.ts';

export interface ExistingOptions {
  readonly kubeconfig: string;
  readonly context?: string;
  /** Do not ask. */
  readonly yes: boolean;
  /** An image with a shell that the cluster can pull; absent: no pod runs. */
  readonly image?: string;
  readonly narrator: Narrator;
  readonly startProvider: () => Promise<StoryProvider>;
  /** Work to be done at the end, however it comes; the last one first. */
  readonly ending: (() => Promise<void>)[];
}

/** Who was asked said no. */
export class NotWanted extends Error {
  constructor() {
    super('Nothing was created, as you wish.');
  }
}

/**
 * The story on a cluster that is there already. Operator, provider and registry run on this machine and listen on its loopback address only, so
 * pods of the cluster cannot reach them; nothing of the story needs that.
 */
export async function tellOnExisting(o: ExistingOptions): Promise<void> {
  const { narrator, ending } = o;
  const guest = await narrator.step('The cluster can take it: version, rights, and nothing of ours is there', () =>
    visit({ ...o, log: (line) => narrator.say(line) }),
  );
  ending.push(async () => rmSync(guest.dir, { recursive: true, force: true }));
  narrator.say(`In the cluster at ${guest.server} this creates, and removes at the end or at Ctrl-C:`);
  narrator.show(guest.plan.join('\n'));
  narrator.say(
    o.image === undefined
      ? 'Operator, provider and registry run here. Without --image the agent pod is created and never scheduled, so no image is pulled.'
      : `Operator, provider and registry run here. The agent pod runs ${o.image} in the cluster; the registry is called from here, because pods do not reach it.`,
  );
  if (!o.yes) {
    await confirm();
    // Whoever was asked may have taken his time.
    await guest.requireAbsent();
  }
  const here: { operator?: OperatorProcess; runs: boolean } = { runs: false };
  ending.push(async () => {
    narrator.say('Removing what was created …');
    await guest.remove({ runs: () => here.runs, stop: async () => here.operator?.stop() });
    narrator.say('Removed; the cluster is as it was before.');
  });
  await narrator.step('Installed: definitions, admission policies, RBAC, an agent namespace', () => guest.install());
  const provider = await narrator.step('Identity provider up on this machine', () => o.startProvider());
  ending.unshift(() => provider.stop());
  await guest.kubectl(
    ['create', '-f', '-'],
    listOf(issuerDocuments(provider).map((text): unknown => JSON.parse(text))),
  );
  const certificate = await makeServerCertificate(mkdtempSync(join(guest.dir, 'registry-')), [
    '127.0.0.1',
    'localhost',
  ]);
  const registry = await startRegistry({ check: await provider.check(), certificate });
  ending.unshift(() => registry.stop());
  const configFile = join(guest.dir, 'config.yaml');
  writeFileSync(configFile, configurationText(provider.issuer, { deliveryLag: '10s', profile: provider.profile }));
  const kubeconfig = await guest.kubeconfigFor('ci-identity-system', 'controller');
  const started = startOperator({ kubeconfig, configFile, dir: guest.dir, detached: true });
  here.operator = started;
  here.runs = true;
  void started.exited.then(() => (here.runs = false));
  await narrator.step(
    'Operator ready: it leads, has read everything, and the admission policies are whole',
    async () => {
      await started.ready(60_000);
      await guarded(guest.kubectl);
    },
  );
  const creator = await guest.kubeconfigFor(creatorsNamespace, 'jenkins');
  const stage: Stage = {
    provider,
    kubectl: guest.kubectl,
    kubectlAsJenkins: (args, input) => guest.kubectl([`--kubeconfig=${creator}`, '--context=guest', ...args], input),
    apply: async (...documents) => {
      await guest.kubectl(['apply', '--server-side', '-f', '-'], documents.join('\n---\n'));
    },
    agentImage: o.image ?? 'none',
    ...(o.image === undefined ? { podSpec: { schedulingGates: [{ name: 'ci-identity.dev/quickstart' }] } } : {}),
  };
  await tellStory(stage, registry, narrator, o.image !== undefined);
}

/** Throws unless somebody at the terminal says yes. */
async function confirm(): Promise<void> {
  if (process.stdin.isTTY !== true) {
    throw new Error('nobody can be asked, because standard input is no terminal: say --yes if this is meant');
  }
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  // A terminal that is read line by line sends no signal by itself.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  try {
    const answer = await Promise.race([lines.question('Create this? [y/N] ').catch(() => ''), ended]);
    if (!/^y(es)?$/i.test(answer.trim())) throw new NotWanted();
  } finally {
    lines.close();
  }
}
