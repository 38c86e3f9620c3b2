// Runs the certified `oidc-provider` as an ordinary process: node provider.mjs CONFIG.json
//
// CONFIG: {port, issuer, clients: [id], redirectUris, scopes, alg, keys: [{kid, alg, pem}],
//          people: {login: {claim: value}}, tamperFile}
// Signing in goes through the package's own login and consent pages: any password will do,
// the login is the person's `sub`. All claims of a person are put into the ID token.
//
// If `tamperFile` exists when a token is asked for, the ID token is changed as it says and
// signed again with the first key of its algorithm: {header: {}, claims: {}, unset: []}.
// `header.alg` "none" leaves the signature empty; "HS256" signs with the public key's PEM.
import { createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';

import Provider from 'oidc-provider';

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const claimNames = new Set(Object.values(config.people).flatMap((person) => Object.keys(person)));

const jwks = {
  keys: config.keys.map(({ kid, alg, pem }) => ({
    ...createPrivateKey(pem).export({ format: 'jwk' }), kid, alg, use: 'sig',
  })),
};

const provider = new Provider(config.issuer, {
  jwks,
  clients: config.clients.map((client_id) => ({
    client_id,
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['code'],
    redirect_uris: config.redirectUris,
    id_token_signed_response_alg: config.alg,
  })),
  scopes: config.scopes,
  claims: { openid: ['sub', ...claimNames] },
  conformIdTokenClaims: false,
  cookies: { keys: ['only for tests'] },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
  findAccount: (_ctx, sub) => {
    const person = Object.hasOwn(config.people, sub) ? config.people[sub] : undefined;
    return person && { accountId: sub, claims: () => ({ sub, ...person }) };
  },
  pkce: { required: () => true },
  ttl: {
    AccessToken: 3600, AuthorizationCode: 60, DeviceCode: 600, Grant: 86400,
    IdToken: 3600, Interaction: 600, RefreshToken: 86400, Session: 86400,
  },
});

const encode = (value) => Buffer.from(value).toString('base64url');

function tampered(token, change) {
  const [oldHeader, oldClaims] = token.split('.', 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  const header = { ...oldHeader, ...change.header };
  const claims = { ...oldClaims, ...change.claims };
  for (const name of change.unset ?? []) delete claims[name];
  const input = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(claims))}`;
  return `${input}.${encode(signature(header.alg, input, oldHeader.alg))}`;
}

function signature(alg, input, oldAlg) {
  const { pem } = config.keys.find((key) => key.alg === oldAlg);
  switch (alg) {
    case 'none': return '';
    case 'HS256': {
      const secret = createPublicKey(pem).export({ type: 'spki', format: 'pem' });
      return createHmac('sha256', secret).update(input).digest();
    }
    case 'ES256': return sign('sha256', Buffer.from(input), { key: pem, dsaEncoding: 'ieee-p1363' });
    case 'RS256': return sign('sha256', Buffer.from(input), pem);
    default: return sign(null, Buffer.from(input), pem);
  }
}

provider.use(async (ctx, next) => {
  await next();
  console.log(`${ctx.method} ${ctx.path} ${ctx.status}`);
  if (ctx.body?.id_token && existsSync(config.tamperFile)) {
    const change = JSON.parse(readFileSync(config.tamperFile, 'utf8'));
    ctx.body = { ...ctx.body, id_token: tampered(ctx.body.id_token, change) };
  }
});
provider.on('server_error', (_ctx, error) => console.log(error.stack));
provider.on('grant.error', (_ctx, error) => console.log(`grant refused: ${error.error_description}`));
provider.on('authorization.error', (_ctx, error) => console.log(`authorization refused: ${error.error_description}`));

const server = provider.listen(config.port, '127.0.0.1', () => console.log('provider is ready'));
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
