import { agentLabel } from '../../api/names.ts';
import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';

export type Labels = Readonly<Record<string, string>>;

export interface LabelRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#resources-that-support-set-based-requirements */
export interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly LabelRequirement[];
}

/**
 * Kubernetes label selector semantics: every clause must hold, `NotIn` holds where the key is absent, a selector without a clause
 * matches everything. An unknown operator matches nothing. The same words stand in `manifests/admission/inject.yaml`.
 */
export function matches(selector: LabelSelector, labels: Labels): boolean {
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labelOf(labels, key) === value) &&
    (selector.matchExpressions ?? []).every((requirement) => holds(requirement, labelOf(labels, requirement.key)))
  );
}

export function isEmptySelector(selector: LabelSelector): boolean {
  return Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;
}

/**
 * Whether admission gives this identity to a pod with these labels and regular containers: its podSelector matches (without one: the
 * pod has the label `jenkins/label`) and at least one of the containers that it delivers to is there. Leaving out `containers` asks
 * about the labels alone. Mirror pods are never selected; that is the caller's to know.
 */
export function selectsPod(
  identity: Pick<CiIdentity, 'spec'>,
  labels: Labels,
  containers?: readonly string[],
): boolean {
  const { agents, delivery } = identity.spec;
  const byLabels =
    agents?.podSelector === undefined ? labelOf(labels, agentLabel) !== undefined : matches(agents.podSelector, labels);
  const chosen = delivery?.containers;
  if (!byLabels || containers === undefined) return byLabels;
  return containers.some((name) => chosen === undefined || chosen.includes(name));
}

function holds(requirement: LabelRequirement, value: string | undefined): boolean {
  const values = requirement.values ?? [];
  if (requirement.operator === 'In') return value !== undefined && values.includes(value);
  if (requirement.operator === 'NotIn') return value === undefined || !values.includes(value);
  if (requirement.operator === 'Exists') return value !== undefined;
  return requirement.operator === 'DoesNotExist' && value === undefined;
}

function labelOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
