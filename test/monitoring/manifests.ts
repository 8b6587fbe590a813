import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

interface Rules {
  readonly spec: { readonly groups: readonly { readonly name: string; readonly rules: readonly Alert[] }[] };
}

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

const text = (name: string): string =>
  readFileSync(new URL(`../../manifests/monitoring/${name}`, import.meta.url), 'utf8');

export const rules = parse(text('rules.yaml')) as Rules;
export const alerts: readonly Alert[] = rules.spec.groups.flatMap((group) => group.rules);
export const runbooks = text('README.md');
/** Every query of the dashboard with the title of its panel. */
export const queries = (JSON.parse(text('dashboard.json')) as Dashboard).panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }) => ({ title, expr })),
);
