/**
 * Strict reading of stored JSON. A value that is not what it must be throws {@link Malformed} with its place, and nothing of its content:
 * records hold secrets.
 */
import { instant } from '../clock.ts';
import type { Instant } from '../clock.ts';
import { Redacted } from '../redacted.ts';

class Malformed extends Error {
  override readonly name = 'Malformed';
}

export type Decoded<R> =
  | { readonly is: 'Record'; readonly record: R }
  | { readonly is: 'Newer'; readonly formatVersion: number }
  | { readonly is: 'Invalid'; readonly message: string };

/** The format that this version writes; it reads this one and the one before (there is none before 1). */
const formatVersion = 1;

/** `leaseTransitions` is an int32: of a record beyond, no Lease could ever take the lead, and a million leaders may still follow. */
const lastEpoch = 2 ** 31 - 2 ** 20;

/** Decodes a whole record. `read` throws {@link Malformed}, or whatever the record's invariants throw. */
export function decodeRecord<R>(text: string, read: (root: JsonReader) => R): Decoded<R> {
  try {
    const root = new JsonReader(parse(text), 'record');
    const version = root.at('formatVersion').integer();
    if (version > formatVersion) return { is: 'Newer', formatVersion: version };
    if (version < 1) throw new Malformed('record.formatVersion is not 1');
    return { is: 'Record', record: read(root) };
  } catch (error) {
    if (error instanceof Error) return { is: 'Invalid', message: error.message };
    throw error;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Malformed('record is not JSON');
  }
}

/** Reads one value and knows where it is. */
export class JsonReader {
  readonly #value: unknown;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.#value = value;
    this.#path = path;
  }

  at(member: string): JsonReader {
    const object = this.#object();
    return new JsonReader(Object.hasOwn(object, member) ? object[member] : undefined, `${this.#path}.${member}`);
  }

  text(): string {
    return typeof this.#value === 'string' ? this.#value : this.#fail('a text');
  }

  secret(): Redacted<string> {
    return new Redacted(this.text());
  }

  integer(): number {
    return typeof this.#value === 'number' && Number.isSafeInteger(this.#value)
      ? this.#value
      : this.#fail('an integer');
  }

  epoch(): number {
    const epoch = this.integer();
    return epoch <= lastEpoch ? epoch : this.#fail('the epoch of a leader');
  }

  boolean(): boolean {
    return typeof this.#value === 'boolean' ? this.#value : this.#fail('true or false');
  }

  instant(): Instant {
    return instant(this.integer());
  }

  oneOf<const T extends string>(...allowed: readonly T[]): T {
    return allowed.find((one) => one === this.#value) ?? this.#fail(`one of ${allowed.join(', ')}`);
  }

  list<T>(read: (item: JsonReader) => T): readonly T[] {
    if (!Array.isArray(this.#value)) return this.#fail('a list');
    return this.#value.map((item: unknown, index) => read(new JsonReader(item, `${this.#path}[${index}]`)));
  }

  texts(): readonly string[] {
    return this.list((item) => item.text());
  }

  /** The names of an object's members are not of our choosing, so they do not appear in messages. */
  map<T>(read: (item: JsonReader) => T): Readonly<Record<string, T>> {
    const entries = Object.entries(this.#object());
    return Object.fromEntries(entries.map(([key, item]) => [key, read(new JsonReader(item, `${this.#path}[…]`))]));
  }

  /** `{[member]: value}`, or nothing where the member is absent: for spreading. */
  optional<const K extends string, T>(member: K, read: (value: JsonReader) => T): { readonly [P in K]?: T } {
    const value = this.at(member);
    return value.#value === undefined ? {} : ({ [member]: read(value) } as { readonly [P in K]: T });
  }

  #object(): Readonly<Record<string, unknown>> {
    const value = this.#value;
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : this.#fail('an object');
  }

  #fail(what: string): never {
    throw new Malformed(`${this.#path} is not ${what}`);
  }
}

/** Names one object, also after another one has taken its name. */
export function readRef(json: JsonReader): { readonly name: string; readonly uid: string } {
  return { name: json.at('name').text(), uid: json.at('uid').text() };
}
