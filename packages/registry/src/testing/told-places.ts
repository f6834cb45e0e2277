import type { BlobTurns } from '../blob-turns.ts';

/** Turns of a copy that is told where blobs are; what it tells in return is recorded: `landed <repository>`, `ended <repository>`. */
export function toldPlaces(places: (digest: string) => readonly string[]): BlobTurns & { readonly told: string[] } {
  const told: string[] = [];
  return {
    told,
    take(digest, { except }) {
      const left = places(digest).filter((place) => !except.includes(place));
      if (left.length > 0) return Promise.resolve({ do: 'look', in: left });
      const end = (landedIn?: string): Promise<void> => {
        told.push(`ended ${landedIn ?? 'with nothing'}`);
        return Promise.resolve();
      };
      return Promise.resolve({ do: 'bring', end });
    },
    landed: (_digest, repository) => void told.push(`landed ${repository}`),
  };
}
