/** Order of work, most urgent first (DESIGN §5). A lane is an output of `decide`. */
export const lanes = { Stop: 0, Expiring: 1, NewPod: 2, Renew: 3, Routine: 4 } as const;

export type Lane = (typeof lanes)[keyof typeof lanes];
