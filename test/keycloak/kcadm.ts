/** The administrator's steps as lines for `kcadm.sh`, which comes with Keycloak; `README.md` shows them for one scope and one audience. */
export function kcadmSteps(
  realm: string,
  scopes: readonly string[],
  audiences: Readonly<Record<string, string>>,
): string {
  return [
    '# Each scope of the pool: a client scope that is optional in the realm.',
    ...scopes.flatMap((scope) => optionalScope(realm, scope, true)),
    '# Each audience: an optional client scope that carries it, with one audience mapper.',
    ...Object.entries(audiences).flatMap(([audience, carrier]) => [
      ...optionalScope(realm, carrier, false),
      `kcadm.sh create client-scopes/$ID/protocol-mappers/models -r ${realm} -s name=audience -s protocol=openid-connect \\`,
      `  -s protocolMapper=oidc-audience-mapper -s 'config."included.custom.audience"=${audience}' \\`,
      `  -s 'config."access.token.claim"=true' -s 'config."introspection.token.claim"=true'`,
    ]),
  ].join('\n');
}

/** A client made by hand for `client.existing`; what goes into the Secret is in the file `<clientId>.pem` or `<clientId>.txt` then. */
export function kcadmClient(
  realm: string,
  clientId: string,
  scopes: readonly string[],
  credential: 'Certificate' | 'Secret',
): string {
  return [
    `ID=$(kcadm.sh create clients -r ${realm} -i -s clientId=${clientId} -s protocol=openid-connect -s publicClient=false \\`,
    '  -s serviceAccountsEnabled=true -s standardFlowEnabled=false -s directAccessGrantsEnabled=false \\',
    `  -s fullScopeAllowed=false -s 'defaultClientScopes=[]' -s 'optionalClientScopes=${JSON.stringify(scopes)}')`,
    ...(credential === 'Secret'
      ? [`kcadm.sh get clients/$ID/client-secret -r ${realm} --fields value --format csv --noquotes > ${clientId}.txt`]
      : [
          `openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=${clientId} -keyout ${clientId}.pem -out ${clientId}.crt`,
          `kcadm.sh update clients/$ID -r ${realm} -s clientAuthenticatorType=client-jwt \\`,
          `  -s 'attributes."jwt.credential.certificate"='"$(openssl x509 -in ${clientId}.crt -outform der | openssl base64 -A)"`,
        ]),
  ].join('\n');
}

function optionalScope(realm: string, name: string, inTokenScope: boolean): readonly string[] {
  return [
    `ID=$(kcadm.sh create client-scopes -r ${realm} -i -s name=${name} -s protocol=openid-connect \\`,
    `  -s 'attributes."include.in.token.scope"=${inTokenScope}')`,
    `kcadm.sh update realms/${realm}/default-optional-client-scopes/$ID`,
  ];
}
