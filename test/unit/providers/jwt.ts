/** Header or claims as a JWT has them (RFC 7515 §3.1). */
export function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A JWT that nobody signed. */
export function jwt(claims: object, header: object = { alg: 'RS256' }): string {
  return `${part(header)}.${part(claims)}.c2ln`;
}
