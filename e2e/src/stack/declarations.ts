import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseDeclaration, type ServiceDeclaration } from '@kuik/contracts';

const CHECKOUT = path.resolve(import.meta.dirname, '../../..');

/** What every service says of itself in its folder, by name in order, jobs left out. Throws with every mistake of every file. */
export function readDeclarations(): ReadonlyMap<string, ServiceDeclaration> {
  const mistakes: string[] = [];
  const read = globSync('services/*/service.yaml', { cwd: CHECKOUT })
    .sort()
    .flatMap((file): [string, ServiceDeclaration][] => {
      try {
        const declaration = parseDeclaration(readFileSync(path.join(CHECKOUT, file), 'utf8'));
        return declaration === undefined ? [] : [[path.basename(path.dirname(file)), declaration]];
      } catch (error) {
        mistakes.push(...(error as Error).message.split('\n').map((line) => `${file}: ${line}`));
        return [];
      }
    });
  if (mistakes.length > 0) throw new Error(mistakes.join('\n'));
  return new Map(read);
}
