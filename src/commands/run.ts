import { OperatorError } from '../errors.ts';
import { cleanLines } from '../clean.ts';
import { type Arguments, type Description, parseArguments, program } from './arguments.ts';
import { type Cluster, withCluster } from './cluster.ts';
import { CommandError, type ProcessSurface, type Run, exitCodes } from './surface.ts';

/**
 * A verb: its command line read, help and problems told, expected errors as one line on standard error. Names and sentences of others are
 * in what it says, so nothing that moves a terminal gets there.
 */
export function verb(
  description: Description,
  work: (args: Arguments, surface: ProcessSurface) => Promise<number>,
): Run {
  return async (argv, raw) => {
    const surface: ProcessSurface = {
      ...raw,
      print: (text) => raw.print(cleanLines(text)),
      complain: (text) => raw.complain(cleanLines(text)),
    };
    const complain = (text: string): number => {
      surface.complain(`${program} ${description.name}: ${text}\n`);
      return exitCodes.failed;
    };
    const parsed = parseArguments(description, argv);
    if (parsed.is === 'Help') return (surface.print(parsed.text), exitCodes.done);
    if (parsed.is === 'Problems') return parsed.problems.map(complain)[0] ?? exitCodes.failed;
    try {
      return await work(parsed, surface);
    } catch (error) {
      if (surface.stop.aborted) return complain('interrupted');
      if (error instanceof CommandError || error instanceof OperatorError) return complain(error.message);
      throw error;
    }
  };
}

/** The same for a verb that talks to a cluster. */
export function clusterVerb(
  description: Description,
  work: (cluster: Cluster, args: Arguments, surface: ProcessSurface) => Promise<number>,
): Run {
  return verb(description, (args, surface) => withCluster(args, surface, (cluster) => work(cluster, args, surface)));
}
