import { Ajv, type ErrorObject } from 'ajv';
import { parseDocument } from 'yaml';
import { type Milliseconds, parseDuration, second } from './clock.ts';

/** A key of a Secret or ConfigMap in the operator's namespace. */
export interface KeyRef {
  readonly name: string;
  readonly key: string;
}

export interface IssuerConfiguration {
  readonly url: string;
  readonly profile: 'Generic' | 'Keycloak';
  readonly registrationTokenRef?: KeyRef;
  readonly managementTokenRef?: KeyRef;
  readonly caBundleRef?: KeyRef;
  readonly allowPrivateNetwork: boolean;
  readonly rateLimit?: { readonly perSecond: number; readonly burst?: number };
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** The operator-wide facts: `apiVersion: config.ci-identity.dev/v1alpha1, kind: ControllerConfiguration` (DESIGN §3). */
export interface Configuration {
  readonly issuers: readonly IssuerConfiguration[];
  readonly limits: {
    /** How long a changed Secret may take to reach the files of a pod: the kubelet's sync period and its cache. */
    readonly deliveryLag: Milliseconds;
  };
  readonly log: { readonly level: LogLevel };
  /** Where audit lines go; absent: standard output. */
  readonly audit: { readonly path?: string };
}

export type ParsedConfiguration =
  | { readonly is: 'Configuration'; readonly configuration: Configuration }
  | { readonly is: 'Problems'; readonly problems: readonly string[] };

const keyRef = {
  type: 'object',
  required: ['name', 'key'],
  additionalProperties: false,
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 253, pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$' },
    key: { type: 'string', minLength: 1, maxLength: 253, pattern: '^[-._a-zA-Z0-9]+$' },
  },
};

/** The JSON Schema of the configuration file. */
export const configurationSchema = {
  type: 'object',
  required: ['apiVersion', 'kind'],
  additionalProperties: false,
  properties: {
    apiVersion: { const: 'config.ci-identity.dev/v1alpha1' },
    kind: { const: 'ControllerConfiguration' },
    issuers: {
      type: 'array',
      maxItems: 256,
      items: {
        type: 'object',
        required: ['url'],
        additionalProperties: false,
        properties: {
          url: { type: 'string', maxLength: 512 },
          profile: { enum: ['Generic', 'Keycloak'] },
          registrationTokenRef: keyRef,
          managementTokenRef: keyRef,
          caBundleRef: keyRef,
          allowPrivateNetwork: { type: 'boolean' },
          rateLimit: {
            type: 'object',
            required: ['perSecond'],
            additionalProperties: false,
            properties: {
              perSecond: { type: 'number', exclusiveMinimum: 0, maximum: 10_000 },
              burst: { type: 'integer', minimum: 1, maximum: 10_000 },
            },
          },
        },
      },
    },
    limits: {
      type: 'object',
      additionalProperties: false,
      properties: { deliveryLag: { type: 'string', pattern: '^[1-9][0-9]{0,6}[smhd]$' } },
    },
    log: {
      type: 'object',
      additionalProperties: false,
      properties: { level: { enum: ['error', 'warn', 'info', 'debug'] } },
    },
    audit: {
      type: 'object',
      additionalProperties: false,
      properties: { path: { type: 'string', minLength: 1, maxLength: 4_096 } },
    },
  },
};

interface ConfigurationFile {
  readonly issuers?: readonly (Pick<IssuerConfiguration, 'url'> & Partial<IssuerConfiguration>)[];
  readonly limits?: { readonly deliveryLag?: string };
  readonly log?: { readonly level?: LogLevel };
  readonly audit?: { readonly path?: string };
}

const validate = new Ajv({ allErrors: true }).compile<ConfigurationFile>(configurationSchema);

/** Parses and checks the configuration file; every problem at once, each a sentence that names the place. */
export function parseConfiguration(text: string): ParsedConfiguration {
  const document = parseDocument(text, { maxAliasCount: 0 } as never);
  if (document.errors.length > 0) {
    return {
      is: 'Problems',
      problems: document.errors.map((error) => `the file is not YAML: ${error.message.split('\n')[0] ?? ''}`),
    };
  }
  const file: unknown = document.toJS({ maxAliasCount: 0 });
  if (!validate(file)) return { is: 'Problems', problems: (validate.errors ?? []).map(sentence) };
  const issuers = (file.issuers ?? []).map((issuer) => ({
    profile: 'Generic' as const,
    allowPrivateNetwork: false,
    ...issuer,
  }));
  const problems = issuers.flatMap((issuer, index) =>
    issuerProblems(issuer.url).map((problem) => `issuers[${index}].url ${problem}`),
  );
  const seen = new Set<string>();
  for (const issuer of issuers) {
    if (seen.has(issuer.url)) problems.push(`issuers: ${issuer.url} is listed twice; merge the entries`);
    seen.add(issuer.url);
  }
  if (problems.length > 0) return { is: 'Problems', problems };
  const configuration: Configuration = {
    issuers,
    limits: { deliveryLag: parseDuration(file.limits?.deliveryLag ?? '') ?? 150 * second },
    log: { level: file.log?.level ?? 'info' },
    audit: file.audit ?? {},
  };
  return { is: 'Configuration', configuration: Object.freeze(configuration) };
}

function issuerProblems(url: string): readonly string[] {
  if (!URL.canParse(url)) return ['is not a URL'];
  const parsed = new URL(url);
  const problems: string[] = [];
  if (parsed.protocol !== 'https:') problems.push('must start with https://: issuers are never called without TLS');
  if (parsed.username !== '' || parsed.password !== '') problems.push('must not contain a user or password');
  if (parsed.search !== '' || parsed.hash !== '') problems.push('must not contain a query or fragment (RFC 8414 §2)');
  if (problems.length === 0 && parsed.href !== url && parsed.href !== `${url}/`)
    problems.push(`must be written as ${parsed.href}`);
  return problems;
}

function sentence(error: ErrorObject): string {
  const place =
    error.instancePath
      .slice(1)
      .replace(/\/(\d+)/g, '[$1]')
      .replaceAll('/', '.') || 'the file';
  const extra: unknown = error.params['additionalProperty'];
  const allowed: unknown = error.params['allowedValues'] ?? error.params['allowedValue'];
  if (typeof extra === 'string') return `${place} has the unknown member ${extra}; remove it or correct its spelling`;
  if (allowed !== undefined) return `${place} must be ${JSON.stringify(allowed)}`;
  return `${place} ${error.message ?? 'is not valid'}`;
}
