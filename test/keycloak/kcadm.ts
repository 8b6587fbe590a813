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

function optionalScope(realm: string, name: string, inTokenScope: boolean): readonly string[] {
  return [
    `ID=$(kcadm.sh create client-scopes -r ${realm} -i -s name=${name} -s protocol=openid-connect \\`,
    `  -s 'attributes."include.in.token.scope"=${inTokenScope}')`,
    `kcadm.sh update realms/${realm}/default-optional-client-scopes/$ID`,
  ];
}
