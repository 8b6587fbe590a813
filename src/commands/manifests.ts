import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { apiVersion } from '../api/names.ts';
import type { ObjectMeta } from '../api/meta.ts';
import { clean } from '../clean.ts';
import { CommandError, type ProcessSurface } from './surface.ts';

/** No name of Kubernetes is longer. */
const longestName = 253;

/** An object of a manifest, not checked by any API server yet. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [member: string]: unknown;
}

/** Every object in these files; a directory stands for the YAML and JSON files in it, `-` for standard input, a List for its items. */
export async function readManifests(files: readonly string[], surface: ProcessSurface): Promise<readonly Manifest[]> {
  const found: Manifest[] = [];
  for (const file of files) {
    if (file === '-') found.push(...parseManifests(await surface.readInput(), 'standard input'));
    else for (const path of filesOf(file)) found.push(...parseManifests(textOf(path), path));
  }
  return found;
}

function filesOf(path: string): readonly string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path)
      .filter((name) => /\.(ya?ml|json)$/.test(name))
      .toSorted()
      .map((name) => join(path, name));
  } catch {
    throw new CommandError(`${path} cannot be read: check the path given with -f`);
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new CommandError(`${path} cannot be read: check the path given with -f`);
  }
}

/** Pure. Of a file that is no YAML only the line is told: it may be anything, also a secret. */
export function parseManifests(text: string, source: string): readonly Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      throw new CommandError(`${source}${at(error.linePos?.[0].line)}: not YAML (${error.code})`);
    }
    const value: unknown = document.toJS();
    return value === null ? [] : objectsIn(value, source);
  });
}

function at(line: number | undefined): string {
  return line === undefined ? '' : `:${line}`;
}

function objectsIn(value: unknown, source: string): readonly Manifest[] {
  const object = value as Partial<Manifest> & { readonly items?: unknown };
  if (typeof value === 'object' && object.kind === 'List' && Array.isArray(object.items)) {
    return object.items.flatMap((item) => objectsIn(item, source));
  }
  if (typeof value !== 'object' || typeof object.kind !== 'string' || typeof object.apiVersion !== 'string') {
    throw new CommandError(`${source}: holds something that is no Kubernetes object (apiVersion, kind, metadata)`);
  }
  const meta = object.metadata as Readonly<Partial<Record<'name' | 'generateName' | 'namespace', unknown>>> | undefined;
  if ([object.kind, meta?.name, meta?.generateName, meta?.namespace].some(isOdd)) {
    throw new CommandError(`${source}: holds an object with a kind, name or namespace that no API server takes`);
  }
  if (typeof meta?.name !== 'string' && typeof meta?.generateName !== 'string') {
    throw new CommandError(`${source}: a ${object.kind} has no metadata.name`);
  }
  return [value as Manifest];
}

/** Our sentences quote these; a line end would let whoever wrote the file add sentences of his own. */
function isOdd(text: unknown): boolean {
  return typeof text === 'string' && clean(text, longestName) !== text;
}

export function isOurs(manifest: Manifest): boolean {
  return manifest.apiVersion === apiVersion;
}
