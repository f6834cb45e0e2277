import { rmSync } from 'node:fs';
import path from 'node:path';
import type { PartName } from '../port.ts';
import { buildPart, type BuildProgress } from './build-part.ts';
import { partEntry, REQUIRED_PARTS, type GoModule, type PartEntry, type SystemPackage } from './catalogue.ts';
import { cachedPartPath, cacheFolder, findPart } from './find.ts';
import { goFolder } from './go-environment.ts';
import { withLock } from './part-lock.ts';
import { installSystemParts } from './system-part.ts';

/** Told what happens while parts are obtained. */
export interface ObtainReport {
  building?(name: PartName, version: string, progress: BuildProgress): void;
  waiting?(name: PartName, pid: number): void;
  installing?(line: string): void;
  have?(name: PartName, path: string, built: boolean): void;
}

/**
 * Makes sure that every part is there: found, installed from the system's packages, or built from its pinned module, one
 * after the other. Returns their paths. Throws PartMissing, which says what is missing and how to get it.
 */
export async function obtainParts(
  names: readonly PartName[] = REQUIRED_PARTS,
  report: ObtainReport = {},
): Promise<Map<PartName, string>> {
  const paths = new Map<PartName, string>();
  const missing: PartEntry[] = [];
  for (const name of names) {
    const found = await findPart(name);
    if (found) {
      paths.set(name, found.path);
      report.have?.(name, found.path, false);
    } else missing.push(partEntry(name));
  }
  // Packages first: they cost seconds, and what a person has to do should be said before minutes of building.
  const packages = missing.filter((entry) => isSystem(entry));
  if (packages.length > 0) {
    await installSystemParts(packages, (line) => report.installing?.(line));
    for (const entry of packages) await have(entry, false);
  }
  const modules = missing.filter((entry) => isGo(entry));
  if (modules.length > 0) await buildAll(modules, report, (entry) => have(entry, true));
  return paths;

  async function have(entry: PartEntry, built: boolean): Promise<void> {
    const found = await findPart(entry.name);
    if (!found) throw new Error(`${entry.name} was obtained, yet is not found`);
    paths.set(entry.name, found.path);
    report.have?.(entry.name, found.path, built);
  }
}

/** One run builds at a time, and the others then find what it built; what Go kept meanwhile is GBs and is dropped. */
async function buildAll(
  entries: readonly (PartEntry & { source: GoModule })[],
  report: ObtainReport,
  built: (entry: PartEntry) => Promise<void>,
): Promise<void> {
  const cache = cacheFolder();
  const first = entries[0]?.name;
  await withLock(
    path.join(cache, 'parts', '.build.lock'),
    async () => {
      for (const entry of entries) {
        if (!(await findPart(entry.name))) {
          await buildPart(entry, cachedPartPath(entry), cache, (progress) => {
            report.building?.(entry.name, entry.version, progress);
          });
        }
        await built(entry);
      }
      rmSync(goFolder(cache), { recursive: true, force: true });
    },
    { onWait: (pid) => first && report.waiting?.(first, pid) },
  );
}

function isGo(entry: PartEntry): entry is PartEntry & { source: GoModule } {
  return entry.source.kind === 'go';
}

function isSystem(entry: PartEntry): entry is PartEntry & { source: SystemPackage } {
  return entry.source.kind === 'system';
}
