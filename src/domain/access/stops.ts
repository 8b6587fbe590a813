import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import type { ObjectMeta } from '../../api/meta.ts';
import { annotations, emergencyStopConfigMap } from '../../api/names.ts';
import type { Stop, StopSource } from './access.ts';
import { cut } from './explain.ts';

/** Everything that can stop. What is left out, or not known, does not stop. */
export interface StopSources {
  readonly pool?: Pick<IdentityPool, 'metadata' | 'spec'> | undefined;
  readonly identity?: Pick<CiIdentity, 'metadata' | 'spec'> | undefined;
  readonly namespace?: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> } | undefined;
  /** The ConfigMap `emergency-stop` in the operator's namespace: that it exists stops everything, its key `reason` says why. */
  readonly configMap?: { readonly namespace: string; readonly data?: Readonly<Record<string, string>> } | undefined;
}

/**
 * Every stop source OR-ed. The annotation and the ConfigMap stop by being there, whatever they hold: an emergency stop fails safe, and
 * lifting it means removing it.
 */
export function stopOf({ pool, identity, namespace, configMap }: StopSources): Stop | undefined {
  const sources = [
    ...(configMap === undefined ? [] : [presenceOf(configMap)]),
    ...(pool === undefined ? [] : objectSources({ kind: 'IdentityPool', name: pool.metadata.name }, pool)),
    ...(namespace === undefined
      ? []
      : annotationSource({ kind: 'Namespace', name: namespace.name }, namespace.annotations)),
    ...(identity === undefined ? [] : objectSources({ kind: 'CiIdentity', ...placeOf(identity.metadata) }, identity)),
  ];
  return sources.length === 0 ? undefined : { sources };
}

/** The same for the same stop, also after its reason was edited. */
export function wayOf({ kind, namespace = '', name, by }: StopSource): string {
  return `${kind} ${namespace}/${name} ${by}`;
}

const annotationWords = `annotation ${annotations.emergencyStop}`;

/** For people, e.g. `IdentityPool ci-bots (spec.suspend)`. */
export function sourceInWords({ kind, namespace, name, by, reason }: StopSource): string {
  const subject = `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
  if (by === 'presence') return `${subject}${quoted(reason)}`;
  return `${subject} (${by === 'suspend' ? 'spec.suspend' : `${annotationWords}${quoted(reason)}`})`;
}

const words =
  /^(?<kind>ConfigMap|IdentityPool|Namespace|CiIdentity) (?:(?<namespace>[^\s/:]+)\/)?(?<name>[^\s/:]+)(?: \((?<by>spec\.suspend|annotation )[^\s:)]*)?(?:: "(?<reason>.*)")?/;

/** What status told with {@link sourceInWords}; `undefined`: something else. */
export function sourceFromWords(text: string): StopSource | undefined {
  const { kind, namespace, name, by, reason } = words.exec(text)?.groups ?? {};
  if (kind === undefined || name === undefined) return undefined;
  return {
    kind: kind as StopSource['kind'],
    ...(namespace === undefined ? {} : { namespace }),
    name,
    by: by === undefined ? 'presence' : by === 'spec.suspend' ? 'suspend' : 'annotation',
    ...(reason === undefined ? {} : { reason }),
  };
}

/** As status lists it. */
export function stoppedBy({ sources }: Stop): readonly string[] {
  return sources.slice(0, 16).map((source) => cut(sourceInWords(source), 512));
}

/** What – why – what to do, for status, events and refusals; `error.json` has its two halves apart. */
export function stopSentence(stop: Stop): string {
  return `${stopReason(stop)}. ${stopRemedy}`;
}

export function stopReason({ sources }: Stop): string {
  return `stopped on purpose by ${sources.map(sourceInWords).join(' and by ')}: no new tokens, and live ones are revoked`;
}

export const stopRemedy = 'Remove what stops it to go on.';

type Subject = Pick<StopSource, 'kind' | 'namespace' | 'name'>;

function placeOf({ namespace, name }: ObjectMeta): Pick<StopSource, 'namespace' | 'name'> {
  return namespace === undefined ? { name } : { namespace, name };
}

function presenceOf({ namespace, data }: NonNullable<StopSources['configMap']>): StopSource {
  const reason = data?.['reason'];
  return {
    kind: 'ConfigMap',
    namespace,
    name: emergencyStopConfigMap,
    by: 'presence',
    ...(reason === undefined ? {} : { reason }),
  };
}

function objectSources(
  subject: Subject,
  { metadata, spec }: { readonly metadata: ObjectMeta; readonly spec: { readonly suspend?: boolean } },
): readonly StopSource[] {
  return [
    ...(spec.suspend === true ? [{ ...subject, by: 'suspend' } as const] : []),
    ...annotationSource(subject, metadata.annotations),
  ];
}

function annotationSource(subject: Subject, of: Readonly<Record<string, string>> | undefined): readonly StopSource[] {
  const reason = of?.[annotations.emergencyStop];
  return reason === undefined ? [] : [{ ...subject, by: 'annotation', reason }];
}

/** Somebody else's words: in quotes, on one line and short. */
function quoted(text: string | undefined): string {
  const clean = (text ?? '').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return clean === '' ? '' : `: "${cut(clean, 200)}"`;
}
