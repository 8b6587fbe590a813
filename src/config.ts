import { Ajv, type ErrorObject } from 'ajv';
import { parseDocument } from 'yaml';
import { type Milliseconds, hour, parseDuration, second } from './clock.ts';

/** The kubelet of most clusters brings a changed Secret into a pod within this time. */
export const defaultDeliveryLag: Milliseconds = 150 * second;

/** A key of a Secret or ConfigMap in the operator's namespace. */
export interface KeyRef {
  readonly name: string;
  readonly key: string;
}

export interface IssuerConfiguration {
  readonly url: string;
  readonly profile: 'Generic' | 'Keycloak' | 'Glewlwyd' | 'Hydra' | 'Spring';
  readonly registrationTokenRef?: KeyRef;
  readonly managementTokenRef?: KeyRef;
  readonly caBundleRef?: KeyRef;
  readonly allowPrivateNetwork: boolean;
  /** An HTTP proxy for all calls to this issuer. */
  readonly proxyUrl?: string;
  readonly rateLimit?: { readonly perSecond: number; readonly burst?: number };
  /** `iss` of its JWT access tokens, where that is not `url`. */
  readonly tokenIssuer?: string;
  /** `aud` of our signed assertions, where the product wants another than its profile says. */
  readonly assertionAudience?: 'Issuer' | 'TokenEndpoint' | 'CalledEndpoint';
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** The operator-wide facts: `apiVersion: config.ci-identity.dev/v1alpha1, kind: ControllerConfiguration`. */
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
  description: 'a reference {name, key} to a key of a Secret or ConfigMap in the namespace of the operator',
  required: ['name', 'key'],
  additionalProperties: false,
  properties: {
    name: {
      type: 'string',
      description: 'the name of a Secret or ConfigMap',
      maxLength: 253,
      pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$',
    },
    key: {
      type: 'string',
      description: 'a key of a Secret or ConfigMap',
      maxLength: 253,
      pattern: '^[-._a-zA-Z0-9]+$',
    },
  },
};

/** The JSON Schema of the configuration file. `description` ends the sentence "… must be": every node that can be wrong has one. */
const configurationSchema = {
  type: 'object',
  description: 'an object that begins with apiVersion and kind',
  required: ['apiVersion', 'kind'],
  additionalProperties: false,
  properties: {
    apiVersion: { description: 'config.ci-identity.dev/v1alpha1', const: 'config.ci-identity.dev/v1alpha1' },
    kind: { description: 'ControllerConfiguration', const: 'ControllerConfiguration' },
    issuers: {
      type: 'array',
      description: 'a list of at most 256 issuers',
      maxItems: 256,
      items: {
        type: 'object',
        description: 'an object with at least a url',
        required: ['url'],
        additionalProperties: false,
        properties: {
          url: { type: 'string', description: 'an https URL of at most 512 characters', maxLength: 512 },
          profile: {
            description: 'Generic, Keycloak, Glewlwyd, Hydra or Spring',
            enum: ['Generic', 'Keycloak', 'Glewlwyd', 'Hydra', 'Spring'],
          },
          registrationTokenRef: keyRef,
          managementTokenRef: keyRef,
          caBundleRef: keyRef,
          allowPrivateNetwork: { type: 'boolean', description: 'true or false' },
          proxyUrl: {
            type: 'string',
            description:
              'the URL of an HTTP proxy without user, password and path, such as http://proxy.example.com:3128',
            maxLength: 512,
            pattern: '^http://([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?$',
          },
          tokenIssuer: {
            type: 'string',
            description: 'what its JWT access tokens have as iss: at most 512 characters without spaces',
            pattern: '^[!-~]{1,512}$',
          },
          assertionAudience: {
            description: 'Issuer, TokenEndpoint or CalledEndpoint',
            enum: ['Issuer', 'TokenEndpoint', 'CalledEndpoint'],
          },
          rateLimit: {
            type: 'object',
            description: 'an object with perSecond and perhaps burst',
            required: ['perSecond'],
            additionalProperties: false,
            properties: {
              perSecond: {
                type: 'number',
                description: 'a number above 0, at most 10000',
                exclusiveMinimum: 0,
                maximum: 10_000,
              },
              burst: { type: 'integer', description: 'a whole number from 1 to 10000', minimum: 1, maximum: 10_000 },
            },
          },
        },
      },
    },
    limits: {
      type: 'object',
      description: 'an object',
      additionalProperties: false,
      properties: {
        deliveryLag: {
          type: 'string',
          description: 'a duration from 1s to 1h such as 150s or 3m',
          pattern: '^[1-9][0-9]{0,6}[smhd]$',
        },
      },
    },
    log: {
      type: 'object',
      description: 'an object',
      additionalProperties: false,
      properties: { level: { description: 'error, warn, info or debug', enum: ['error', 'warn', 'info', 'debug'] } },
    },
    audit: {
      type: 'object',
      description: 'an object',
      additionalProperties: false,
      properties: { path: { type: 'string', description: 'the path of a file', minLength: 1, maxLength: 4_096 } },
    },
  },
};

interface ConfigurationFile {
  readonly issuers?: readonly (Pick<IssuerConfiguration, 'url'> & Partial<IssuerConfiguration>)[];
  readonly limits?: { readonly deliveryLag?: string };
  readonly log?: { readonly level?: LogLevel };
  readonly audit?: { readonly path?: string };
}

const validate = new Ajv({ allErrors: true, verbose: true }).compile<ConfigurationFile>(configurationSchema);

/** A longer lag would leave hardly a token lifetime to work with; it is a slip of the unit. */
const longestDeliveryLag = hour;

/**
 * Parses and checks the configuration file; every problem at once, each a sentence that names the place and what must be there. Values are
 * never repeated: somebody may have pasted a token where a reference belongs.
 */
export function parseConfiguration(text: string): ParsedConfiguration {
  const document = parseDocument(text);
  const unreadable = document.errors.map(({ code, message }) =>
    code === 'MULTIPLE_DOCS'
      ? 'the file holds several YAML documents; keep one'
      : `the file is not YAML: ${firstLine(message)}`,
  );
  if (unreadable.length > 0) return { is: 'Problems', problems: unreadable };
  let file: unknown;
  try {
    file = document.toJS({ maxAliasCount: 0 });
  } catch {
    return { is: 'Problems', problems: ['the file uses YAML anchors and aliases; write the values out'] };
  }
  const semantic = [...urlProblems(file), ...proxyProblems(file), ...lagProblems(file)];
  if (!validate(file))
    return { is: 'Problems', problems: [...new Set([...(validate.errors ?? []).map(sentence), ...semantic])] };
  if (semantic.length > 0) return { is: 'Problems', problems: semantic };
  const configuration: Configuration = {
    issuers: (file.issuers ?? []).map((issuer) => ({
      profile: 'Generic' as const,
      allowPrivateNetwork: false,
      ...issuer,
    })),
    limits: { deliveryLag: parseDuration(file.limits?.deliveryLag ?? '') ?? defaultDeliveryLag },
    log: { level: file.log?.level ?? 'info' },
    audit: file.audit ?? {},
  };
  return { is: 'Configuration', configuration: frozen(configuration) };
}

function frozen<T extends object>(value: T): T {
  for (const member of Object.values(value))
    if (typeof member === 'object' && member !== null) frozen(member as object);
  return Object.freeze(value);
}

/** What the schema cannot say; also of a file that does not fit the schema, so that all problems show at once. */
function urlProblems(file: unknown): readonly string[] {
  const { issuers } = (file ?? {}) as { readonly issuers?: unknown };
  if (!Array.isArray(issuers)) return [];
  const seen = new Map<string, number>();
  return issuers.flatMap((issuer: unknown, index) => {
    const { url } = (issuer ?? {}) as { readonly url?: unknown };
    if (typeof url !== 'string') return [];
    const first = seen.get(url);
    if (first !== undefined)
      return [`issuers[${index}].url is the same as issuers[${first}].url; merge the two entries`];
    seen.set(url, index);
    return issuerProblems(url).map((problem) => `issuers[${index}].url ${problem}`);
  });
}

/** A port that no URL can have, or brackets around what is no address. */
function proxyProblems(file: unknown): readonly string[] {
  const { issuers } = (file ?? {}) as { readonly issuers?: unknown };
  if (!Array.isArray(issuers)) return [];
  const { proxyUrl: schema } = configurationSchema.properties.issuers.items.properties;
  return issuers.flatMap((issuer: unknown, index) => {
    const { proxyUrl } = (issuer ?? {}) as { readonly proxyUrl?: unknown };
    const isUsable = typeof proxyUrl !== 'string' || (URL.canParse(proxyUrl) && !/:0+$/.test(proxyUrl));
    return isUsable ? [] : [`issuers[${index}].proxyUrl must be ${schema.description}`];
  });
}

function lagProblems(file: unknown): readonly string[] {
  const { limits } = (file ?? {}) as { readonly limits?: { readonly deliveryLag?: unknown } | null };
  const lag = typeof limits?.deliveryLag === 'string' ? parseDuration(limits.deliveryLag) : undefined;
  return lag === undefined || lag <= longestDeliveryLag
    ? []
    : [`limits.deliveryLag must be ${configurationSchema.properties.limits.properties.deliveryLag.description}`];
}

function issuerProblems(url: string): readonly string[] {
  if (!URL.canParse(url)) return ['must be an https URL'];
  const parsed = new URL(url);
  const problems: string[] = [];
  if (parsed.protocol !== 'https:') problems.push('must start with https://: issuers are never called without TLS');
  if (parsed.username !== '' || parsed.password !== '') problems.push('must not contain a user or password');
  if (parsed.search !== '' || parsed.hash !== '') problems.push('must not contain a query or fragment (RFC 8414 §2)');
  if (url.includes('*')) problems.push('must not contain *: each issuer is listed by its own URL');
  const spelled = inLowerCase(url);
  if (problems.length === 0 && parsed.href !== spelled && parsed.href !== `${spelled}/`)
    problems.push(`must be written as ${parsed.href}`);
  return problems;
}

/** A provider may spell its host in capitals or name the port that https has anyway, and whoever connects it has to spell it likewise (RFC 8414 §3.3). */
function inLowerCase(url: string): string {
  const [, host = '', path = ''] = /^https:\/\/([^/]*)(.*)$/.exec(url) ?? [];
  return `https://${host.toLowerCase().replace(/:443$/, '')}${path}`;
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/:$/, '');
}

function sentence(error: ErrorObject): string {
  const place =
    error.instancePath
      .slice(1)
      .replace(/\/(\d+)/g, '[$1]')
      .replaceAll('/', '.') || 'the file';
  const unknown: unknown = error.params['additionalProperty'];
  if (typeof unknown === 'string') {
    const known = Object.keys((error.parentSchema?.['properties'] ?? {}) as object).join(', ');
    return `${place} has the unknown member ${JSON.stringify(unknown.slice(0, 64))}; known are ${known}`;
  }
  const missing: unknown = error.params['missingProperty'];
  if (typeof missing === 'string') return `${place} lacks the member ${missing}`;
  return `${place} must be ${String(error.parentSchema?.['description'])}`;
}
