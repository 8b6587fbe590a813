/** One story – objects, a pod with a token, a rotation if wanted, the end of the pod, the end of the pool – told while the program dies in it. */
import type { EffectName } from '#src/controllers/effect-names.ts';
import { type Pod, auditOf, createPod, identity, policy, pool, team } from '#test/api/operator-lab.ts';
import type { Endpoint, Fault } from '#test/providers/oidc-provider-faults.ts';
import type { OidcProvider, OidcProviderSettings } from '#test/providers/oidc-provider.ts';
import { Auditor } from '#test/support/auditor.ts';
import { eventually } from '#test/support/eventually.ts';
import type { Lab } from '#test/support/lab.ts';
import { Programs } from './program.ts';

export type Moment = 'before' | 'after';
export type Phase = 'objects' | 'pod' | 'rotation' | 'podEnd' | 'poolEnd';

/** What has to go wrong, and when, for the program to come by an effect that the plain story never reaches. */
export interface Trouble {
  readonly phase: Phase;
  readonly fault?: Fault;
  /** Seconds that tokens live which are minted from this phase on. */
  readonly tokenLifetime?: number;
}

export interface Story {
  /** Of this story alone; part of every name. */
  readonly name: string;
  readonly crashAt?: { readonly effect: EffectName; readonly moment: Moment };
  readonly troubles?: readonly Trouble[];
  readonly rotates?: boolean;
  /** The token of the pod is renewed before the pod ends. */
  readonly renews?: boolean;
  /** Somebody deletes the record of the pod's session. */
  readonly damages?: boolean;
  readonly settings?: Partial<OidcProviderSettings>;
  /** Tokens of proofs that the trouble or the crash may lose: they are in no record and live until they expire. */
  readonly lostProbes?: number;
}

/** Effects that need trouble to be reached. */
export const troublesOf: Partial<Record<EffectName, readonly Trouble[]>> = {
  'client.Register.refusal': [{ phase: 'objects', fault: refused('register') }],
  'client.Update.refusal': [{ phase: 'rotation', fault: refused('update') }],
  'client.Deregister.refusal': [{ phase: 'poolEnd', fault: refused('delete') }],
  'client.Refusal.record': [
    {
      phase: 'pod',
      fault: { endpoint: 'token', times: 1, instead: { status: 401, body: { error: 'invalid_client' } } },
    },
  ],
  // The provider grants more than was asked for: the token is thrown away.
  'session.Mint.revoke': [
    {
      phase: 'pod',
      fault: {
        endpoint: 'token',
        times: 1,
        rewrite: ({ body }) => ({ body: { ...(body as object), scope: 'artifacts:publish artifacts:delete' } }),
      },
    },
  ],
  'session.Mint.introspect': [{ phase: 'pod', tokenLifetime: 20 }],
  // A process that is killed before it has written the record again leaves a token to its expiry.
  'session.Restore.record': [{ phase: 'pod', tokenLifetime: 12 }],
  'session.Drop.record': [
    { phase: 'pod', tokenLifetime: 12 },
    { phase: 'podEnd', fault: { endpoint: 'revocation', instead: { status: 503 } } },
  ],
};

function refused(endpoint: Endpoint): Fault {
  return { endpoint, times: 1, instead: { status: 429, headers: { 'retry-after': '1' } } };
}

/** Where the answer of a provider call that changes something is lost: which request, in which phase. */
export const lostAnswers = {
  'client.Register.call': { phase: 'objects', endpoint: 'register' },
  'client.Prove.call': { phase: 'objects', endpoint: 'token' },
  'client.Prove.revoke': { phase: 'objects', endpoint: 'revocation' },
  'session.Mint.call': { phase: 'pod', endpoint: 'token' },
  'client.Update.call': { phase: 'rotation', endpoint: 'update' },
  'session.Revoke.call': { phase: 'podEnd', endpoint: 'revocation' },
  'client.Deregister.call': { phase: 'poolEnd', endpoint: 'delete' },
} as const satisfies Partial<Record<EffectName, { readonly phase: Phase; readonly endpoint: Endpoint }>>;

interface Rotated {
  readonly status?: { readonly credential?: { readonly generation?: number } };
}

export class Stage extends Programs<OidcProvider> {
  readonly auditor: Auditor;
  /** Every effect that any story came by. */
  readonly reached = new Set<string>();
  /** The provider fails for as long as this phase of the story lasts. */
  #away = false;

  constructor(lab: Lab) {
    super(lab);
    this.auditor = new Auditor({
      get: (path) => this.get(path),
      provider: lab.provider,
      auditStreams: () => this.processes.map((process) => process.audit()),
      logs: () => this.processes.map((process) => process.log()),
      away: () => this.#away,
    });
  }

  /** Resolves when the auditor finds nothing to say; throws with what it said last. */
  async sound(when: string, lostProbes = 0): Promise<void> {
    await eventually(
      `all is well: ${when}`,
      async () => {
        const broken = await this.auditor.findings(lostProbes);
        if (broken.length > 0) throw new Error(broken.join('; '));
        return true;
      },
      { timeoutMs: 90_000, everyMs: 150 },
    );
  }

  /** Pool, policy and identity of that name. */
  async apply(name: string): Promise<void> {
    await this.lab.apply(
      pool(name, this.lab.provider.issuer),
      policy(name, { role: name, pool: name, scopes: ['artifacts:publish'] }),
      identity(name, { pool: name, roles: [name], limits: { sessionsPerHour: 1_000 } }),
    );
  }

  pod(name: string): Promise<Pod> {
    return createPod(this.lab, `${name}-x7k2p-q0b4t-m1wz9`, [name]);
  }

  async endOf(pod: Pod): Promise<void> {
    await this.lab.kubectlAsJenkins(['delete', 'pod', '-n', pod.namespace, pod.name, '--now', '--wait=false']);
  }

  async rotate(name: string): Promise<void> {
    await this.lab.kubectl(['annotate', 'identitypool', name, 'ci-identity.dev/rotate=now']);
    await eventually(
      `${name} has rotated`,
      async () => {
        const raw = await this.get(`/apis/ci-identity.dev/v1alpha1/identitypools/${name}`);
        return (raw as Rotated).status?.credential?.generation === 2 ? true : undefined;
      },
      { timeoutMs: 90_000 },
    );
  }

  /** Resolves when the pod's token was replaced and the provider was asked about the old one. */
  async #renewed(pod: Pod): Promise<void> {
    await eventually(
      `the token of ${pod.name} is renewed`,
      () => {
        const lines = auditOf({ audit: () => this.auditText() }).filter((line) => line.pod?.uid === pod.uid);
        const minted = lines.findIndex(({ event }) => event === 'Renewed');
        return minted >= 0 && lines.slice(minted).some(({ event }) => event === 'Delivered') ? true : undefined;
      },
      { timeoutMs: 60_000 },
    );
  }

  /** Resolves when the deleted record of the pod's session was missed; one that is deleted while nobody leads is not. */
  async #damaged(pod: Pod): Promise<void> {
    const records = ['secret', '-n', 'ci-identity-system', '-l', 'ci-identity.dev/kind=session'];
    await eventually(`the record of ${pod.name} is missed`, async () => {
      await this.lab.kubectl(['delete', ...records, '--wait=false', '--ignore-not-found']);
      const lines = auditOf({ audit: () => this.auditText() });
      return lines.some(({ event, pod: of }) => event === 'Restored' && of?.uid === pod.uid) ? true : undefined;
    });
  }

  async remove(name: string): Promise<void> {
    const all = ['ciidentity', 'scopepolicy', 'identitypool'].map((kind) => `${kind}/${name}`);
    await this.lab.kubectl(['delete', '--wait=false', '-n', team, ...all]);
  }

  /** Tells the whole story and looks after every phase; resolves with the number of deaths. Throws with everything that is broken. */
  async tell({
    name,
    crashAt,
    troubles = [],
    rotates = false,
    renews = false,
    damages = false,
    lostProbes = 0,
    settings = {},
  }: Story): Promise<number> {
    const { lab, auditor } = this;
    const { provider } = lab;
    const usual = { ...provider.settings };
    Object.assign(provider.settings, settings);
    const enter = (phase: Phase): void => {
      provider.faults.clear();
      const here = troubles.filter((trouble) => trouble.phase === phase);
      this.#away = here.some(({ fault }) => fault !== undefined && fault.times === undefined);
      for (const { fault, tokenLifetime } of here) {
        if (fault !== undefined) provider.faults.add(fault);
        if (tokenLifetime !== undefined) provider.settings.tokenTtl = tokenLifetime;
      }
    };
    const sound = (when: string): Promise<void> => this.sound(`${name}, ${when}`, lostProbes);
    enter('objects');
    await this.apply(name);
    const owner = await lab.kubectl(['get', 'identitypool', name, '-o', 'jsonpath={.metadata.uid}']);
    const program = this.program(crashAt === undefined ? undefined : `${crashAt.effect}:${crashAt.moment}`);
    try {
      await sound('registration');
      enter('pod');
      const pod = await this.pod(name);
      await sound('the first token');
      if (renews) {
        await this.#renewed(pod);
        await sound('the renewal');
      }
      if (damages) {
        await this.#damaged(pod);
        await sound('the damage');
      }
      if (rotates) {
        enter('rotation');
        await this.rotate(name);
        await sound('the rotation');
      }
      enter('podEnd');
      await this.endOf(pod);
      await sound('the end of the pod');
      enter('poolEnd');
      await this.remove(name);
      await sound('the end of the pool');
      // All may be well before the effect at which it dies has come back to it.
      if (crashAt !== undefined) await eventually('it died', () => (program.died > 0 ? true : undefined));
      const left = auditor.clientsOf(owner);
      if (left > auditor.admittedOrphans(owner)) throw new Error(`${left} clients are left at the provider`);
      if (lostProbes > 0) await auditor.pardonProbes();
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${program.log().slice(-3_000)}`, { cause: error });
    } finally {
      for (const effect of await program.effects().catch(() => [])) this.reached.add(effect);
      await program.stop();
      provider.faults.clear();
      Object.assign(provider.settings, usual);
    }
    if (crashAt !== undefined && program.died > 0) this.reached.add(crashAt.effect);
    return program.died;
  }
}
