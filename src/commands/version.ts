import { readFileSync } from 'node:fs';
import { apiVersion } from '../api/names.ts';
import { printAnswer } from './answer.ts';
import { type Description, noNames, outputOption, program } from './arguments.ts';
import { verb } from './run.ts';
import { exitCodes } from './surface.ts';

const description: Description = {
  name: 'version',
  synopsis: '',
  about:
    'Says of which version this program is, and of which version the objects are that it knows. Whether definitions and policies of a cluster\nare of this version, doctor says.',
  examples: [
    ['Which one is this?', 'version'],
    ['Does the cluster fit?', 'doctor'],
  ],
  options: [outputOption],
  refusesNames: noNames,
  exit: '0 told, 1 the command line cannot be used.',
};

export const runVersion = verb(description, async (args, surface) => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
  };
  printAnswer(args, surface, { json: { version, apiVersion }, text: `${program} ${version}, for ${apiVersion}\n` });
  return exitCodes.done;
});
