/** What the auditor looks at: raw objects of the API server, the provider's own records, and the lines of the audit streams. */
import type { Condition } from '#src/api/meta.ts';
import { createHash } from 'node:crypto';
import type { LiveToken, ProviderClient } from '#test/providers/oidc-provider.ts';

/** What decides who may have what: raw objects. */
export interface World {
  readonly pools: readonly Raw[];
  readonly identities: readonly Raw[];
  readonly policies: readonly Raw[];
  readonly namespaces: readonly Raw[];
  /** Names of the ConfigMaps in the operator's namespace. */
  readonly configMaps: readonly string[];
}

interface Meta {
  readonly generation?: number;
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly { readonly uid: string }[];
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
}

/** Of a ScopePolicy. */
export interface Rule {
  readonly role: string;
  readonly pool: string;
  readonly namespaces?: readonly string[];
  readonly namespaceSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly scopes: readonly string[];
}

export interface Raw {
  readonly type?: string;
  readonly metadata: Meta;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly ceiling?: { readonly scopes?: readonly string[] };
    readonly leaseTransitions?: number;
    readonly suspend?: boolean;
    readonly pool?: string;
    readonly roles?: readonly string[];
    readonly scopes?: readonly string[];
    readonly enforcement?: string;
    readonly rules?: readonly Rule[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly observedGeneration?: number;
    readonly clients?: { readonly possibleOrphans?: number };
    readonly conditions?: readonly Pick<Condition, 'type' | 'status' | 'reason' | 'message'>[];
  };
}

export interface ClientRecord {
  readonly epoch: number;
  readonly tag: { readonly installation: string; readonly owner: string };
  readonly pool: { readonly name: string; readonly uid: string };
  readonly intent?: { readonly call: string };
  readonly generations: readonly {
    readonly n: number;
    readonly state: string;
    readonly clientId?: string;
    readonly credential: {
      readonly type: string;
      readonly kid?: string;
      readonly privateJwk?: string;
      readonly secret?: string;
    };
  }[];
  readonly management?: { readonly token: string };
}

export interface SessionToken {
  readonly sha256: string;
  readonly value?: string;
  readonly clientId: string;
  readonly exp: number;
  readonly end?: string;
}

export interface SessionRecord {
  readonly epoch: number;
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly identity: { readonly name: string };
  readonly pool: { readonly name: string };
  readonly tokens: readonly SessionToken[];
}

export interface AuditLine {
  readonly process_id: string;
  readonly seq: number;
  readonly previous: string;
  readonly event: string;
  readonly outcome: string;
  readonly reason: string;
  readonly message?: string;
  readonly pool?: string;
  readonly namespace?: string;
  readonly identity?: string;
  readonly scopes?: readonly string[];
  readonly audiences?: readonly string[];
  readonly generation?: number;
  readonly session_id?: string;
  readonly client_id?: string;
  readonly token_sha256?: string;
}

export interface Facts extends World {
  readonly pods: readonly Raw[];
  /** `leaseTransitions` of the operator's lease. */
  readonly epoch: number;
  readonly clients: ReadonlyMap<string, ClientRecord>;
  readonly sessions: ReadonlyMap<string, SessionRecord>;
  readonly deliveries: ReadonlyMap<string, Raw>;
  readonly there: readonly ProviderClient[];
  readonly live: readonly LiveToken[];
  readonly lines: readonly AuditLine[];
  /** Every object that many may read. */
  readonly open: string;
}

/** What a session may have; `undefined`: whatever the ceiling of its pool allows. */
export type ScopesOf = (podUid: string, identity: string) => readonly string[] | undefined;

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
export const decode = (text = ''): string => Buffer.from(text, 'base64').toString('utf8');
export const claimPrefix = 'identity.ci-identity.dev/';
