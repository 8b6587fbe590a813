/** Session records as JSON, with the tokens in the open: for record Secrets only. */
import { isReason } from '../../api/reasons.ts';
import type { Ask } from '../access/access.ts';
import { decodeRecord, readRef } from '../record-json.ts';
import type { Decoded, JsonReader } from '../record-json.ts';
import { sessionRecordName } from '../record-names.ts';
import type { Token } from '../token.ts';
import { assertSessionInvariants } from './invariants.ts';
import type { IdentityRef, SessionRecord } from './record.ts';

function encode(record: SessionRecord): string {
  const tokens = record.tokens.map((token) => ({
    ...token,
    ...(token.value === undefined ? {} : { value: token.value.reveal() }),
  }));
  return JSON.stringify({ ...record, tokens });
}

function decode(text: string): Decoded<SessionRecord> {
  return decodeRecord(text, readRecord);
}

function nameOf({ pod, identity }: SessionRecord): string {
  return sessionRecordName(pod.uid, identity.uid);
}

export const sessionCodec = { encode, decode, nameOf } as const;

function readRecord(root: JsonReader): SessionRecord {
  const [first, ...others] = root.at('tokens').list(readToken);
  if (first === undefined) throw new Error('session record holds 0 tokens');
  const pod = root.at('pod');
  const record: SessionRecord = {
    formatVersion: 1,
    epoch: root.at('epoch').epoch(),
    pod: { namespace: pod.at('namespace').text(), name: pod.at('name').text(), uid: pod.at('uid').text() },
    identity: readIdentity(root.at('identity')),
    pool: readRef(root.at('pool')),
    client: root.at('client').text(),
    requester: root.at('requester').text(),
    since: root.at('since').instant(),
    ...root.optional('subject', (value) => value.text()),
    issuer: root.at('issuer').text(),
    tokens: [first, ...others],
  };
  assertSessionInvariants(record);
  return record;
}

function readIdentity(json: JsonReader): IdentityRef {
  return {
    ...readRef(json),
    ...json.optional('roles', (value) => value.texts()),
    ...json.optional('actor', (value) => ({
      type: value.at('type').oneOf('AIAgent', 'Automation'),
      id: value.at('id').text(),
      owner: value.at('owner').text(),
    })),
  };
}

function readToken(json: JsonReader): Token {
  return {
    sha256: json.at('sha256').text(),
    ...json.optional('value', (value) => value.secret()),
    ask: readAsk(json.at('ask')),
    minted: json.at('minted').instant(),
    exp: json.at('exp').instant(),
    generation: json.at('generation').integer(),
    clientId: json.at('clientId').text(),
    ...json.optional('client', (value) => value.text()),
    ...json.optional('end', (value) => value.oneOf('Superseded', 'Forbidden')),
    ...json.optional('endedAt', (value) => value.instant()),
    ...readEndedFor(json),
  };
}

/** A word of a newer version is no reason to not understand the record. */
function readEndedFor(json: JsonReader): Pick<Token, 'endedFor'> {
  const { endedFor } = json.optional('endedFor', (value) => value.text());
  return endedFor !== undefined && isReason(endedFor) ? { endedFor } : {};
}

function readAsk(json: JsonReader): Ask {
  return {
    scopes: json.at('scopes').texts(),
    audiences: json.at('audiences').texts(),
    maxLifetime: json.at('maxLifetime').integer(),
  };
}
