import { createHash } from 'node:crypto';
import { referrersTag } from '@kuik/image';

const INDEX = 'application/vnd.oci.image.index.v1+json';

interface ManifestFields {
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config?: { readonly mediaType?: string };
  readonly subject?: { readonly digest?: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The digest that a manifest says it is about; undefined when it says none. */
export function subjectOf(bytes: Buffer): string | undefined {
  return read(bytes)?.subject?.digest;
}

/**
 * Adds a manifest to the list of what refers to its subject, under the subject's fallback tag (distribution spec, "Referrers Tag Schema").
 * `repository` is its URL with a slash at the end. Throws when the registry does not take the list.
 */
export async function keepReferrer(
  repository: URL,
  headers: Readonly<Record<string, string>>,
  { bytes, subject }: { bytes: Buffer; subject: string },
): Promise<void> {
  const url = new URL(`manifests/${referrersTag(subject)}`, repository);
  const kept = await fetch(url, { headers: { ...headers, accept: INDEX } });
  const list = kept.ok ? ((await kept.json()) as { manifests: { digest: string }[] }).manifests : [];
  const entry = descriptorOf(bytes);
  const manifests = [...list.filter(({ digest }) => digest !== entry.digest), entry];
  const put = await fetch(url, {
    method: 'PUT',
    headers: { ...headers, 'content-type': INDEX },
    body: JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }),
  });
  if (!put.ok) throw new Error(`${url.href}: HTTP ${put.status} to the list of what refers to ${subject}`);
}

function descriptorOf(bytes: Buffer) {
  const { mediaType, artifactType, config, annotations } = read(bytes) ?? {};
  // An image without a type of its own is of its config's; an index has none.
  const type = artifactType ?? config?.mediaType;
  return {
    mediaType,
    digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
    size: bytes.length,
    ...(type === undefined ? {} : { artifactType: type }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

function read(bytes: Buffer): ManifestFields | undefined {
  try {
    return JSON.parse(bytes.toString()) as ManifestFields;
  } catch {
    return undefined;
  }
}
