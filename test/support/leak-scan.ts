/** Finds secrets in texts, in whatever way they were written there. */

export interface Leak {
  readonly place: string;
  /** The secret's name, never its value. */
  readonly secret: string;
  readonly form: string;
  /** Where in the text. */
  readonly offset: number;
}

/** So many characters in a row of a secret are a leak: messages are cut, and half a token is too much too. */
const shortest = 16;

/** A signed JWT: client assertions and service account tokens are secrets that nobody listed. */
const jws = /eyJ[\w-]{16,}\.[\w-]{16,}\.[\w-]{16,}/g;
const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----/g;

export class LeakScanner {
  /** Piece → what it is a piece of. */
  readonly #pieces = new Map<string, { readonly secret: string; readonly form: string }>();
  readonly #known = new Set<string>();

  /** How many secrets are looked for. */
  get size(): number {
    return this.#known.size;
  }

  /** @throws Error for a value that is too short to be told from ordinary text. */
  know(secret: string, value: string): void {
    if (value.length < shortest) throw new Error(`secret ${secret} is shorter than ${shortest} characters`);
    if (this.#known.has(value)) return;
    this.#known.add(value);
    for (const [form, text] of formsOf(value)) {
      for (let at = 0; at + shortest <= text.length; at += 1) {
        const piece = text.slice(at, at + shortest);
        if (!this.#pieces.has(piece)) this.#pieces.set(piece, { secret, form });
      }
    }
  }

  /** Each secret at most once per form. */
  scan(place: string, text: string): readonly Leak[] {
    const found = new Map<string, Leak>();
    for (let at = 0; at + shortest <= text.length; at += 1) {
      const hit = this.#pieces.get(text.slice(at, at + shortest));
      const key = `${hit?.secret} ${hit?.form}`;
      if (hit !== undefined && !found.has(key)) found.set(key, { place, ...hit, offset: at });
    }
    const unlisted = [
      ...[...text.matchAll(jws)].map(({ index }) => ({ place, secret: 'a signed JWT', form: 'raw', offset: index })),
      ...[...text.matchAll(privateKey)].map(({ index }) => ({
        place,
        secret: 'a private key',
        form: 'PEM',
        offset: index,
      })),
    ];
    return [...found.values(), ...unlisted];
  }
}

/** Every way of writing the value that leaves at least {@link shortest} characters that depend on nothing else. */
export function formsOf(value: string): readonly (readonly [string, string])[] {
  const bytes = Buffer.from(value, 'utf8');
  const inBody = new URLSearchParams({ v: value }).toString().slice(2);
  const lower = (form: string): string => form.replace(/%../g, (hex) => hex.toLowerCase());
  const forms: [string, string][] = [
    ['raw', value],
    ['reversed', value.split('').toReversed().join('')],
    ['hex', bytes.toString('hex')],
    ['HEX', bytes.toString('hex').toUpperCase()],
    ['URL-encoded', encodeURIComponent(value)],
    ['form-encoded', inBody],
    ['form-encoded, small', lower(inBody)],
    ['URL-encoded throughout', bytes.toString('hex').replace(/../g, '%$&')],
    ['JSON', JSON.stringify(value).slice(1, -1)],
    ['JSON in JSON', JSON.stringify(JSON.stringify(value)).slice(3, -3)],
    ['list of bytes', [...bytes].join(',')],
  ];
  for (const [of, text] of [
    ['', value],
    [' of a form, as in a Basic header', inBody],
  ] as const) {
    for (const skip of [0, 1, 2]) {
      const inner = base64(Buffer.from(text, 'utf8'), skip);
      forms.push([`base64+${skip}${of}`, inner]);
      forms.push([`base64url+${skip}${of}`, inner.replaceAll('+', '-').replaceAll('/', '_')]);
    }
  }
  return forms;
}

/** After `skip` bytes of something else, without the characters that depend on those or on what follows. */
function base64(bytes: Buffer, skip: number): string {
  const all = Buffer.concat([Buffer.alloc(skip), bytes]).toString('base64');
  return all.slice(Math.ceil((skip * 8) / 6), Math.floor(((skip + bytes.length) * 8) / 6));
}
