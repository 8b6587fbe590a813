/**
 * What a call to an issuer is for. All calls share the issuer's rate; each circuit fails, and is tried again, by itself, so that trouble with one
 * keeps nobody from another. A plan calls nobody: it only takes its turn.
 */
export const circuits = ['clients', 'registrations', 'tokens', 'revocations'] as const;

export type Circuit = (typeof circuits)[number] | 'plans';

/** The name of that circuit of that issuer: `Work.resource`. */
export function resourceOf(issuer: string, circuit: Circuit): string {
  return `${issuer}/${circuit}`;
}
