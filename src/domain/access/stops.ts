import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import type { ObjectMeta } from '../../api/meta.ts';
import { annotations, emergencyStopConfigMap } from '../../api/names.ts';
import type { Stop } from './access.ts';
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
    ...(configMap === undefined
      ? []
      : [`ConfigMap ${configMap.namespace}/${emergencyStopConfigMap}${quoted(configMap.data?.['reason'])}`]),
    ...(pool === undefined ? [] : objectSources(`IdentityPool ${pool.metadata.name}`, pool.metadata, pool.spec)),
    ...(namespace === undefined ? [] : annotationSource(`Namespace ${namespace.name}`, namespace.annotations)),
    ...(identity === undefined
      ? []
      : objectSources(
          `CiIdentity ${identity.metadata.namespace}/${identity.metadata.name}`,
          identity.metadata,
          identity.spec,
        )),
  ];
  return sources.length === 0 ? undefined : { sources };
}

/** A source without the reason that somebody gave: the same stop after its reason was edited. */
export function wayOf(source: string): string {
  return (source.split(': "', 1)[0] ?? source).replace(/\)$/, '');
}

/** What – why – what to do, for status, events and `error.json`. */
export function stopSentence(stop: Stop): string {
  return `stopped on purpose by ${stop.sources.join(' and by ')}: no new tokens, and live ones are revoked. Remove what stops it to go on.`;
}

function objectSources(subject: string, meta: ObjectMeta, spec: { readonly suspend?: boolean }): readonly string[] {
  return [
    ...(spec.suspend === true ? [`${subject} (spec.suspend)`] : []),
    ...annotationSource(subject, meta.annotations),
  ];
}

function annotationSource(subject: string, of: Readonly<Record<string, string>> | undefined): readonly string[] {
  const reason = of?.[annotations.emergencyStop];
  return reason === undefined ? [] : [`${subject} (annotation ${annotations.emergencyStop}${quoted(reason)})`];
}

/** Somebody else's words: in quotes, on one line and short. */
function quoted(text: string | undefined): string {
  const clean = (text ?? '').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return clean === '' ? '' : `: "${cut(clean, 200)}"`;
}
