#!/usr/bin/env node
// A person with a browser: node browser.mjs [--person NAME] [--refuse] URL
//
// Opens URL, keeps cookies, follows redirects, fills in the login and consent pages of
// `oidc-provider` as NAME (or $BROWSER_PERSON) and presses continue, until a page has no form.
// With --refuse (or $BROWSER_REFUSE=1) it presses cancel on the first page that offers it.
// Prints one line per request, also to the file $BROWSER_LOG. Exit 0 if the last page was a success.
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const PAGES_MAX = 30;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { person: { type: 'string' }, refuse: { type: 'boolean' } },
});
const person = values.person ?? process.env.BROWSER_PERSON;
const refuse = values.refuse ?? process.env.BROWSER_REFUSE === '1';
if (!person || positionals.length !== 1) {
  console.error('usage: browser.mjs [--person NAME] [--refuse] URL');
  process.exit(2);
}

const jars = new Map(); // host name and port -> cookie name -> {value, path}

function say(line) {
  console.log(line);
  if (process.env.BROWSER_LOG) appendFileSync(process.env.BROWSER_LOG, `${line}\n`);
}

function keepCookies(url, response) {
  const jar = jars.get(url.host) ?? new Map();
  jars.set(url.host, jar);
  for (const line of response.headers.getSetCookie()) {
    const [pair, ...attributes] = line.split(/;\s*/);
    const name = pair.slice(0, pair.indexOf('='));
    const named = (wanted) => attributes.find((text) => text.toLowerCase().startsWith(wanted))
      ?.slice(wanted.length);
    const expires = named('expires=');
    if (expires && Date.parse(expires) <= Date.now()) jar.delete(name);
    else jar.set(name, { value: pair.slice(name.length + 1), path: named('path=') ?? '/' });
  }
}

function cookiesFor(url) {
  return [...jars.get(url.host) ?? []]
    .filter(([, { path }]) => url.pathname.startsWith(path))
    .map(([name, { value }]) => `${name}=${value}`).join('; ');
}

async function request(method, url, form) {
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: { accept: 'text/html', cookie: cookiesFor(url) },
    body: form && new URLSearchParams(form),
  });
  keepCookies(url, response);
  const body = await response.text();
  const location = response.headers.get('location');
  say(`${method} ${url.origin}${url.pathname} ${response.status}`);
  return { status: response.status, body, next: location && new URL(location, url) };
}

const unescape = (text) => text.replaceAll('&quot;', '"').replaceAll('&#39;', "'")
  .replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
const attribute = (tag, name) => {
  const found = tag.match(new RegExp(`\\s${name}="([^"]*)"`));
  return found ? unescape(found[1]) : undefined;
};

// The first form that is sent by POST, filled in, or undefined.
function filledForm(page, url) {
  const form = page.match(/<form[^>]*method="post"[^>]*>([\s\S]*?)<\/form>/i);
  if (!form) return undefined;
  const fields = {};
  for (const [tag] of form[1].matchAll(/<input[^>]*>/gi)) {
    const name = attribute(tag, 'name');
    if (name) fields[name] = attribute(tag, 'value') ?? '';
  }
  if ('login' in fields) fields.login = person;
  if ('password' in fields) fields.password = 'any';
  if (refuse && page.includes('name="abort"')) fields.abort = 'yes';
  return { action: new URL(attribute(form[0], 'action'), url), fields };
}

function cancelLink(page, url) {
  const link = page.match(/<a[^>]*href="([^"]*\/abort)"/);
  return link && new URL(unescape(link[1]), url);
}

let url = new URL(positionals[0]);
let answer = await request('GET', url);
for (let pages = 0; pages < PAGES_MAX; pages += 1) {
  if (answer.next) {
    url = answer.next;
    answer = await request('GET', url);
    continue;
  }
  const cancel = refuse && cancelLink(answer.body, url);
  const form = filledForm(answer.body, url);
  if (cancel) {
    url = cancel;
    answer = await request('GET', url);
  } else if (form) {
    url = form.action;
    answer = await request('POST', url, form.fields);
  } else {
    process.exit(answer.status < 400 ? 0 : 1);
  }
}
say(`gave up after ${PAGES_MAX} pages`);
process.exit(1);
