/**
 * How a manifest's JSON is written. Digests are over bytes, so a copy that parses and writes again breaks all but one of these:
 * `compact` has no spaces, `pretty` is Docker's three spaces, `odd` mixes tabs, CRLF, escaped slashes, a repeated space and a
 * trailing newline.
 */
export type JsonStyle = 'compact' | 'pretty' | 'odd';

/** The bytes of a JSON document in a style; all styles parse to the same value. */
export function writeJson(value: unknown, style: JsonStyle = 'compact'): Buffer {
  if (style === 'compact') return Buffer.from(JSON.stringify(value));
  if (style === 'pretty') return Buffer.from(JSON.stringify(value, null, 3));
  const tabbed = JSON.stringify(value, null, '\t');
  return Buffer.from(`${tabbed.replace(/\n/g, '\r\n').replace(/\//g, '\\/').replace(/": /g, '"  : ')} \n`);
}
