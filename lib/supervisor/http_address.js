'use strict';
// @ts-check

const LOOPBACK = '127.0.0.1';

/**
 * Where to serve: `HOST:PORT`, `[IPv6]:PORT`, a port on loopback, or `unix:PATH`.
 * @param {string | number} address
 * @returns {{ host: string, port: number } | { path: string } | undefined} nothing for what is no address
 */
function parseAddress(address) {
  const text = String(address);
  if (text.startsWith('unix:')) return text.length > 5 ? { path: text.slice(5) } : undefined;
  const [, bracketed, plain, digits] =
    /^(?:(?:\[([\da-fA-F:.]+)\]|([^:[\]\s/]*)):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return undefined;
  // Without a host it is not for others: `:9464` would mean every interface elsewhere.
  return { host: bracketed ?? (plain || LOOPBACK), port };
}

module.exports = { parseAddress };
