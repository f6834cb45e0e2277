import { createHash } from 'node:crypto';
import { shortHash } from './digest.ts';
import { formatReference, repositoryName, type Reference } from './reference.ts';

const NAME_MAX = 253;
const LABEL_MAX = 63;

/**
 * kuik v1's SanitizeName: lower-cased, every maximal run that is a DNS-1123 subdomain joined by `-`; all else separates.
 */
export function sanitizeName(text: string): string {
  return (
    text.toLowerCase().match(/[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/g) ?? []
  ).join('-');
}

/**
 * The object name of a reference's CachedImage: `<readable slug>-<hex of the canonical reference's sha256>`, at most 253
 * characters. `hashLength` grows when a name is taken by another reference (8, then 16, 32, 64).
 */
export function cachedImageName(reference: Reference, hashLength = 8): string {
  return hashedName(formatReference(reference), hashLength);
}

/** The object name of a Repository, made like a CachedImage's. */
export function repositoryObjectName(repository: Pick<Reference, 'host' | 'path'>, hashLength = 8): string {
  return hashedName(repositoryName(repository), hashLength);
}

/** Value of the label `kuik.enix.io/repository`: the sanitised name, or its sha224 when that is longer than 63 characters. */
export function repositoryLabel(repository: Pick<Reference, 'host' | 'path'>): string {
  const name = sanitizeName(repositoryName(repository));
  return name.length <= LABEL_MAX ? name : createHash('sha224').update(name).digest('hex');
}

/** Key of an image's state in the key-value store: `<16 hex of the repository>.<32 hex of the reference>`. */
export function stateKey(reference: Reference): string {
  return `${shortHash(repositoryName(reference), 16)}.${shortHash(formatReference(reference), 32)}`;
}

/** kuik v1's annotation key that keeps a container's original image; long container names become their sha1. */
export function originalImageKeyV1(container: string, init: boolean): string {
  const prefix = init ? 'original-init-image-' : 'original-image-';
  return (
    prefix +
    (prefix.length + container.length > LABEL_MAX ? createHash('sha1').update(container).digest('hex') : container)
  );
}

function hashedName(text: string, hashLength: number): string {
  const hash = shortHash(text, hashLength);
  const slug = sanitizeName(text.replace(/@sha(?:256|384|512):([0-9a-f]{12})[0-9a-f]+$/, '-$1'));
  return `${slug.slice(0, NAME_MAX - hash.length - 1).replace(/[-.]+$/, '')}-${hash}`;
}
