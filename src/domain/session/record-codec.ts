/** Session records as JSON, with the tokens in the open: for record Secrets only. */
import { isReason } from '../../api/reasons.ts';
import type { Ask } from '../access/access.ts';
import { decodeRecord, readRef } from '../record-json.ts';
import type { Decoded, Place } from '../record-json.ts';
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

export const sessionCodec = { encode, decode } as const;

function readRecord(root: Place): SessionRecord {
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

function readIdentity(place: Place): IdentityRef {
  return {
    ...readRef(place),
    ...place.optional('roles', (value) => value.texts()),
    ...place.optional('actor', (value) => ({
      type: value.at('type').oneOf('AIAgent', 'Automation'),
      id: value.at('id').text(),
      owner: value.at('owner').text(),
    })),
  };
}

function readToken(place: Place): Token {
  return {
    sha256: place.at('sha256').text(),
    ...place.optional('value', (value) => value.secret()),
    ask: readAsk(place.at('ask')),
    minted: place.at('minted').instant(),
    exp: place.at('exp').instant(),
    generation: place.at('generation').integer(),
    clientId: place.at('clientId').text(),
    ...place.optional('client', (value) => value.text()),
    ...place.optional('end', (value) => value.oneOf('Superseded', 'Forbidden')),
    ...place.optional('endedAt', (value) => value.instant()),
    ...readEndedFor(place),
  };
}

/** A word of a newer version is no reason to not understand the record. */
function readEndedFor(place: Place): Pick<Token, 'endedFor'> {
  const { endedFor } = place.optional('endedFor', (value) => value.text());
  return endedFor !== undefined && isReason(endedFor) ? { endedFor } : {};
}

function readAsk(place: Place): Ask {
  return {
    scopes: place.at('scopes').texts(),
    audiences: place.at('audiences').texts(),
    maxLifetime: place.at('maxLifetime').integer(),
  };
}
