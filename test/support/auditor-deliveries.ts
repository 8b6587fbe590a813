/** What the Secrets of the pods must hold. */
import { type Facts, type Raw, type ScopesOf, claimPrefix, decode, sha256 } from './auditor-facts.ts';

export function deliveryFindings(
  { pods, namespaces, sessions, deliveries, live }: Facts,
  scopesOf: ScopesOf,
  broken: string[],
): void {
  for (const { metadata } of pods) {
    if (metadata.deletionTimestamp !== undefined) continue;
    const claims = Object.keys(metadata.annotations ?? {}).filter((key) => key.startsWith(claimPrefix));
    for (const identity of claims.map((key) => key.slice(claimPrefix.length))) {
      const what = `pod ${metadata.name}, identity ${identity}`;
      const session = [...sessions.values()].find(
        ({ pod, identity: of }) => pod.uid === metadata.uid && of.name === identity,
      );
      const secret = deliveries.get(`${metadata.namespace ?? ''}/ci-identity-${identity}.${metadata.name}`);
      const token = decode(secret?.data?.['token']);
      if (scopesOf(metadata.uid, identity)?.length === 0) {
        if (live.some(({ value }) => value === token))
          broken.push(`${what}: a live token is delivered without a reason`);
        // Whose pods nobody watches any more is not written to either.
        else if (token !== '' && isServed(namespaces, metadata.namespace))
          broken.push(`${what}: its file still holds a token that is dead`);
        continue;
      }
      if (session === undefined) broken.push(`${what}: no session record`);
      if (secret === undefined) broken.push(`${what}: no delivery`);
      else if (secret.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) !== true)
        broken.push(`${what}: the delivery does not go with the pod`);
      else if (session?.tokens.at(-1)?.sha256 !== sha256(token))
        broken.push(`${what}: the delivery is not the newest token`);
      else if (!live.some(({ value }) => value === token)) broken.push(`${what}: the delivered token is not honoured`);
    }
  }
}

function isServed(namespaces: readonly Raw[], name: string | undefined): boolean {
  const found = namespaces.find(({ metadata }) => metadata.name === name);
  return found?.metadata.labels?.['ci-identity.dev/inject'] === 'enabled';
}

/** Every file goes with its pod, and what is in it has a line: whose token it is, why there is none, or that it was emptied. */
export function fileFindings({ pods, deliveries, lines }: Facts, broken: string[]): void {
  const there = new Map(pods.map((pod) => [pod.metadata.uid, pod]));
  const told = new Set(
    lines.flatMap(({ event, session_id: session, namespace, identity, reason, token_sha256: hash }) => {
      if (event === 'Delivered') return [`Delivered ${hash}`];
      if (event === 'Emptied') return [`Emptied ${session}`];
      // Denials that say the same are counted in one line, whatever their pods are.
      return event === 'Denied' ? [`Denied ${namespace}/${identity} ${reason}`] : [];
    }),
  );
  for (const [name, { metadata, data }] of deliveries) {
    const owner = metadata.ownerReferences?.map(({ uid }) => there.get(uid)).find((pod) => pod !== undefined);
    if (owner === undefined) broken.push(`delivery ${name} outlives its pod`);
    const identity = metadata.name.slice('ci-identity-'.length, metadata.name.indexOf('.'));
    if (owner?.metadata.annotations?.[`${claimPrefix}${identity}`] === undefined) continue;
    const [token, error] = [decode(data?.['token']), decode(data?.['error.json'])];
    const wanted =
      token !== ''
        ? `Delivered ${sha256(token)}`
        : error !== ''
          ? `Denied ${metadata.namespace}/${identity} ${(JSON.parse(error) as { readonly reason: string }).reason}`
          : `Emptied ${owner.metadata.uid}.${identity}`;
    if (!told.has(wanted)) broken.push(`delivery ${name} is as no audit line says: ${wanted}`);
  }
}
