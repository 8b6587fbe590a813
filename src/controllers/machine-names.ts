/** The names of the machines, as the loop knows them. */
export const machines = {
  client: 'client',
  proofToken: 'proof-token',
  session: 'session',
  pool: 'pool',
  policy: 'policy',
  identity: 'identity',
} as const;

/** `Check`: it is no news to that machine itself, so that no back-off ends. */
export type News = 'Changed' | 'Check';
export type Wake = (machine: (typeof machines)[keyof typeof machines], key: string, why?: News) => void;
