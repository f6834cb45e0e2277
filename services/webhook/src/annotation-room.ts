import { ANNOTATIONS_MAX_BYTES } from '@kuik/contracts';

export type Annotations = Readonly<Record<string, unknown>>;

/** Whether annotations can be written beside those that there are; what is written over does not count twice. */
export function hasRoomFor(written: Annotations, existing: Annotations | undefined): boolean {
  return sizeOf({ ...existing, ...written }) <= ANNOTATIONS_MAX_BYTES;
}

/** Bytes of annotations, as the API server counts them. */
function sizeOf(annotations: Annotations): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(String(value));
  }
  return bytes;
}
