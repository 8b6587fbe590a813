/** Client records as JSON, with keys, secrets and management tokens in the open: for record Secrets only. */
import { type Reason, isReason } from '../../api/reasons.ts';
import { decodeRecord, readRef } from '../record-json.ts';
import type { Decoded, JsonReader } from '../record-json.ts';
import { clientRecordNameOf } from '../record-names.ts';
import type { Credential } from './credential.ts';
import { assertClientInvariants } from './invariants.ts';
import type { ClientObservation, ClientRecord, Generation, Intent, Offered, OwnManagement, Proof } from './record.ts';

function encode(record: ClientRecord): string {
  const generations = record.generations.map((one) => ({
    ...one,
    credential: openCredential(one.credential),
    ...(one.offered === undefined ? {} : { offered: openOffered(one.offered) }),
    ...(one.management === undefined ? {} : { management: openManagement(one.management) }),
  }));
  return JSON.stringify({
    ...record,
    generations,
    ...(record.management === undefined ? {} : { management: openManagement(record.management) }),
  });
}

function decode(text: string): Decoded<ClientRecord> {
  return decodeRecord(text, readRecord);
}

export const clientCodec = {
  encode,
  decode,
  nameOf: (record: ClientRecord): string => clientRecordNameOf(record),
} as const;

type Management = NonNullable<ClientRecord['management']>;

function openCredential(credential: Credential): unknown {
  if (credential.type === 'PrivateKeyJwt') return { ...credential, privateJwk: credential.privateJwk.reveal() };
  return credential.secret === undefined ? credential : { ...credential, secret: credential.secret.reveal() };
}

function openOffered(offered: Offered): unknown {
  return { ...offered, credential: openCredential(offered.credential) };
}

function openManagement(management: OwnManagement): unknown {
  return { ...management, token: management.token?.reveal() };
}

function readRecord(root: JsonReader): ClientRecord {
  const tag = root.at('tag');
  const record: ClientRecord = {
    formatVersion: 1,
    epoch: root.at('epoch').epoch(),
    tag: { installation: tag.at('installation').text(), owner: tag.at('owner').text() },
    issuer: root.at('issuer').text(),
    pool: readRef(root.at('pool')),
    ...root.optional('namespace', (value) => value.text()),
    ...root.optional('identity', readRef),
    variant: root.at('variant').oneOf('TwoKeys', 'TwoSecrets', 'NewClient', 'InPlace', 'External', 'None'),
    generations: root.at('generations').list(readGeneration),
    ...root.optional('management', readManagement),
    ...root.optional('managementLost', (value) => value.boolean()),
    ...root.optional('intent', readIntent),
    ...root.optional('observed', readObservation),
    proofs: root.at('proofs').map(readProof),
    handled: root.at('handled').texts(),
    ...root.optional('revokeBefore', (value) => value.instant()),
    ...root.optional('possibleOrphans', (value) => value.integer()),
    ...root.optional('acknowledgedOrphans', (value) => value.integer()),
    ...root.optional('updatedAt', (value) => value.instant()),
    ...root.optional('repairing', (value) => value.boolean()),
    ...root.optional('ownDrift', (value) => value.text()),
    ...root.optional('nothingGiven', (value) => value.instant()),
    ...root.optional('sent', (value) => value.text()),
    ...root.optional('sentScopes', (value) => value.texts()),
    ...root.optional('sentCarriers', (value) => value.texts()),
    ...root.optional('highest', (value) => value.integer()),
    ...root.optional('rollbacks', (value) => ({
      count: value.at('count').integer(),
      at: value.at('at').instant(),
      ...value.optional('source', (source) => source.text()),
      ...value.optional('clientId', (clientId) => clientId.text()),
      ...value.optional('lacked', (lacked) => lacked.text()),
      ...value.optional('unusable', (unusable) => unusable.text()),
      ...value.optional('replacedAt', (replaced) => replaced.instant()),
    })),
    ...root.optional('emergency', (value) => value.integer()),
    ...root.optional('revoking', (value) => ({
      id: value.at('id').text(),
      since: value.at('since').instant(),
      ...value.optional('left', (left) => left.oneOf('External', 'Foreign')),
    })),
    ...root.optional('gap', (value) => value.integer()),
    ...root.optional('retain', (value) => value.boolean()),
    ...root.optional('handedIn', (value) => value.text()),
    ...root.optional('retried', (value) => ({ id: value.at('id').text(), at: value.at('at').instant() })),
  };
  assertClientInvariants(record);
  return record;
}

function readManagement(json: JsonReader): Management {
  return { token: json.at('token').secret(), uri: json.at('uri').text() };
}

function readOwnManagement(json: JsonReader): OwnManagement {
  return {
    ...json.optional('token', (value) => value.secret()),
    uri: json.at('uri').text(),
    ...json.optional('lost', (value) => value.boolean()),
  };
}

function readGeneration(json: JsonReader): Generation {
  return {
    n: json.at('n').integer(),
    state: json.at('state').oneOf('Planned', 'Created', 'Current', 'Draining', 'Retiring'),
    since: json.at('since').instant(),
    ...json.optional('currentSince', (value) => value.instant()),
    ...json.optional('clientId', (value) => value.text()),
    ...json.optional('tag', (value) => value.text()),
    credential: readCredential(json.at('credential')),
    ...json.optional('offered', readOffered),
    ...json.optional('retireAfter', (value) => value.instant()),
    ...json.optional('management', readOwnManagement),
    ...json.optional('unheard', (value) => value.boolean()),
    ...json.optional('refusedAt', (value) => value.instant()),
    ...json.optional('refusedAgain', (value) => value.boolean()),
    ...json.optional('lacks', (value) => value.text()),
    ...json.optional('lacksAsk', (value) => value.text()),
    ...json.optional('refusedSaying', (value) => value.text()),
    ...json.optional('replacedAt', (value) => value.instant()),
    ...json.optional('removedAt', (value) => value.instant()),
    ...json.optional('saidGone', (value) => value.boolean()),
    ...json.optional('stillThere', (value) => value.integer()),
    ...json.optional('foreign', (value) => value.boolean()),
    ...json.optional('lookedAt', (value) => value.instant()),
    ...json.optional('source', (value) => value.text()),
    ...json.optional('expiresAt', (value) => value.instant()),
  };
}

function readOffered(json: JsonReader): Offered {
  return {
    credential: readCredential(json.at('credential')),
    at: json.at('at').instant(),
    ...json.optional('refusedAt', (value) => value.instant()),
  };
}

function readCredential(json: JsonReader): Credential {
  const type = json.at('type').oneOf('PrivateKeyJwt', 'ClientSecretBasic', 'ClientSecretPost');
  if (type !== 'PrivateKeyJwt') {
    return {
      type,
      ...json.optional('secret', (value) => value.secret()),
      ...json.optional('expiryIgnored', (value) => value.oneOf('Text', 'Past', 'TooLarge')),
      ...json.optional('expiresAt', (value) => value.instant()),
    };
  }
  return {
    type,
    ...json.optional('kid', (value) => value.text()),
    alg: json.at('alg').text(),
    publicJwk: json.at('publicJwk').map((value) => value.text()),
    privateJwk: json.at('privateJwk').secret(),
  };
}

function readIntent(json: JsonReader): Intent {
  return {
    call: json.at('call').oneOf('Register', 'Update', 'Deregister'),
    generation: json.at('generation').integer(),
    at: json.at('at').instant(),
    ...json.optional('firstAt', (value) => value.instant()),
    ...json.optional('takenAt', (value) => value.instant()),
    ...json.optional('unusable', (value) => value.text()),
  };
}

function readObservation(json: JsonReader): ClientObservation {
  return {
    is: json.at('is').oneOf('Present', 'Gone', 'Unknowable'),
    at: json.at('at').instant(),
    drift: json.at('drift').texts(),
    ...json.optional('excess', (value) => value.boolean()),
    ...json.optional('driftDigest', (value) => value.text()),
    ...json.optional('tag', (value) => value.text()),
    ...json.optional('generation', (value) => value.integer()),
  };
}

/** A word of a newer version is no reason to not understand the record. */
function knownReason(word: string): Reason {
  return isReason(word) ? word : 'ScopeRefused';
}

function readProof(json: JsonReader): Proof {
  return {
    outcome: json.at('outcome').oneOf('Accepted', 'Refused'),
    at: json.at('at').instant(),
    generation: json.at('generation').integer(),
    ...json.optional('message', (value) => value.text()),
    ...json.optional('reason', (value) => knownReason(value.text())),
    ...json.optional('lasting', (value) => value.boolean()),
  };
}
