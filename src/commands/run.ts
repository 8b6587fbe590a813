import { OperatorError } from '../errors.ts';
import { cleanLines } from '../clean.ts';
import { type Arguments, type Description, isJson, parseArguments, program } from './arguments.ts';
import { type Cluster, withCluster } from './cluster.ts';
import { CommandError, type ProcessSurface, type Run, exitCodes } from './surface.ts';
import { renderJson } from './table.ts';

/**
 * A verb: its command line read, help and problems told, expected errors as one line each on standard error, or as one JSON object where JSON
 * was asked for; standard output has an answer or nothing. Names and sentences of others are in what it says, so nothing that moves a terminal
 * gets there.
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
    const parsed = parseArguments(description, argv);
    if (parsed.is === 'Help') return (surface.print(parsed.text), exitCodes.done);
    const fail = (...errors: readonly string[]): number => {
      const { name } = description;
      if (isJson(parsed)) surface.complain(renderJson({ verb: name, errors }));
      else for (const error of errors) surface.complain(`${program} ${name}: ${error}\n`);
      return exitCodes.failed;
    };
    if (parsed.is === 'Problems') return fail(...parsed.problems);
    try {
      return await work(parsed, surface);
    } catch (error) {
      if (surface.stop.aborted) return fail('interrupted');
      if (error instanceof CommandError || error instanceof OperatorError) return fail(error.message);
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
