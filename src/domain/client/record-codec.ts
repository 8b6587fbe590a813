/** Client records as JSON, with keys, secrets and management tokens in the open: for record Secrets only. */
import { type Reason, isReason } from '../../api/reasons.ts';
import { decodeRecord, readRef } from '../record-json.ts';
import type { Decoded, Place } from '../record-json.ts';
import type { Credential } from './credential.ts';
import { assertClientInvariants } from './invariants.ts';
import type { ClientObservation, ClientRecord, Generation, Intent, OwnManagement, Proof } from './record.ts';

function encode(record: ClientRecord): string {
  const generations = record.generations.map((one) => ({
    ...one,
    credential: openCredential(one.credential),
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

export const clientCodec = { encode, decode } as const;

type Management = NonNullable<ClientRecord['management']>;

function openCredential(credential: Credential): unknown {
  if (credential.type === 'PrivateKeyJwt') return { ...credential, privateJwk: credential.privateJwk.reveal() };
  return credential.secret === undefined ? credential : { ...credential, secret: credential.secret.reveal() };
}

function openManagement(management: OwnManagement): unknown {
  return { ...management, token: management.token?.reveal() };
}

function readRecord(root: Place): ClientRecord {
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
      ...value.optional('replacedAt', (replaced) => replaced.instant()),
    })),
    ...root.optional('emergency', (value) => value.integer()),
    ...root.optional('revoking', (value) => ({ id: value.at('id').text(), since: value.at('since').instant() })),
    ...root.optional('gap', (value) => value.integer()),
    ...root.optional('retain', (value) => value.boolean()),
    ...root.optional('handedIn', (value) => value.text()),
    ...root.optional('retried', (value) => ({ id: value.at('id').text(), at: value.at('at').instant() })),
  };
  assertClientInvariants(record);
  return record;
}

function readManagement(place: Place): Management {
  return { token: place.at('token').secret(), uri: place.at('uri').text() };
}

function readOwnManagement(place: Place): OwnManagement {
  return {
    ...place.optional('token', (value) => value.secret()),
    uri: place.at('uri').text(),
    ...place.optional('lost', (value) => value.boolean()),
  };
}

function readGeneration(place: Place): Generation {
  return {
    n: place.at('n').integer(),
    state: place.at('state').oneOf('Planned', 'Created', 'Current', 'Draining', 'Retiring'),
    since: place.at('since').instant(),
    ...place.optional('clientId', (value) => value.text()),
    ...place.optional('tag', (value) => value.text()),
    credential: readCredential(place.at('credential')),
    ...place.optional('retireAfter', (value) => value.instant()),
    ...place.optional('management', readOwnManagement),
    ...place.optional('unheard', (value) => value.boolean()),
    ...place.optional('refusedAt', (value) => value.instant()),
    ...place.optional('refusedAgain', (value) => value.boolean()),
    ...place.optional('lacks', (value) => value.text()),
    ...place.optional('lacksAsk', (value) => value.text()),
    ...place.optional('refusedSaying', (value) => value.text()),
    ...place.optional('replacedAt', (value) => value.instant()),
    ...place.optional('removedAt', (value) => value.instant()),
    ...place.optional('saidGone', (value) => value.boolean()),
    ...place.optional('stillThere', (value) => value.integer()),
    ...place.optional('foreign', (value) => value.boolean()),
    ...place.optional('lookedAt', (value) => value.instant()),
    ...place.optional('source', (value) => value.text()),
    ...place.optional('expiresAt', (value) => value.instant()),
  };
}

function readCredential(place: Place): Credential {
  const type = place.at('type').oneOf('PrivateKeyJwt', 'ClientSecretBasic', 'ClientSecretPost');
  if (type !== 'PrivateKeyJwt') {
    return {
      type,
      ...place.optional('secret', (value) => value.secret()),
      ...place.optional('expiryIgnored', (value) => value.oneOf('Text', 'Past', 'TooLarge')),
      ...place.optional('expiresAt', (value) => value.instant()),
    };
  }
  return {
    type,
    ...place.optional('kid', (value) => value.text()),
    alg: place.at('alg').text(),
    publicJwk: place.at('publicJwk').map((value) => value.text()),
    privateJwk: place.at('privateJwk').secret(),
  };
}

function readIntent(place: Place): Intent {
  return {
    call: place.at('call').oneOf('Register', 'Update', 'Deregister'),
    generation: place.at('generation').integer(),
    at: place.at('at').instant(),
    ...place.optional('firstAt', (value) => value.instant()),
    ...place.optional('takenAt', (value) => value.instant()),
  };
}

function readObservation(place: Place): ClientObservation {
  return {
    is: place.at('is').oneOf('Present', 'Gone', 'Unknowable'),
    at: place.at('at').instant(),
    drift: place.at('drift').texts(),
    ...place.optional('excess', (value) => value.boolean()),
    ...place.optional('driftDigest', (value) => value.text()),
    ...place.optional('tag', (value) => value.text()),
    ...place.optional('generation', (value) => value.integer()),
  };
}

/** A word of a newer version is no reason to not understand the record. */
function knownReason(word: string): Reason {
  return isReason(word) ? word : 'ScopeRefused';
}

function readProof(place: Place): Proof {
  return {
    outcome: place.at('outcome').oneOf('Accepted', 'Refused'),
    at: place.at('at').instant(),
    generation: place.at('generation').integer(),
    ...place.optional('message', (value) => value.text()),
    ...place.optional('reason', (value) => knownReason(value.text())),
    ...place.optional('lasting', (value) => value.boolean()),
  };
}
