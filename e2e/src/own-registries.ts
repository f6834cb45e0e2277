import { readFileSync } from 'node:fs';
import path from 'node:path';
import { registriesConfig } from '@kuik/contracts';
import { canonicalHost, isLoopbackHost } from '@kuik/image';
import { parse } from 'yaml';

/** `registries.<host>` of a service's configuration, with one setting named. */
export interface OwnRegistry {
  readonly address?: string | undefined;
  readonly [setting: string]: unknown;
}

/** How a person's own registries are reached, by the host that images name. */
export type OwnRegistries = Readonly<Record<string, OwnRegistry>>;

/** What such a file looks like; shown where one is missing or wrong. */
export const EXAMPLE = 'registry.example.test: { address: "127.0.0.1:5000", plainHTTP: true }';

/**
 * Reads a YAML map of registry hosts, checked as the services check it; `caFile` counts from the file's folder. Throws Error that names
 * the file, each host and each mistake.
 */
export function readOwnRegistries(file: string): OwnRegistries {
  const value = readYaml(file);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${file}: must be a map of registry hosts, such as ${EXAMPLE}`);
  const mistakes = Object.keys(value).flatMap((host) => {
    if (isLoopbackHost(host)) return [`${host}: images on loopback are left as they are; give the registry a name`];
    return canonicalHost(host) === host ? [] : [`${host}: not the name of a registry host`];
  });
  const parsed = registriesConfig.safeParse(value);
  for (const { path: where, message } of parsed.error?.issues ?? [])
    mistakes.push(`${where.map(String).join(': ')}: ${message}`);
  if (!parsed.success || mistakes.length > 0) throw new Error(mistakes.map((text) => `${file}: ${text}`).join('\n'));
  const folder = path.dirname(path.resolve(file));
  return Object.fromEntries(
    Object.entries(parsed.data).map(([host, { caFile, ...rest }]) => [
      host,
      caFile === undefined ? rest : { ...rest, ca: readText(path.resolve(folder, caFile), `${file}: ${host}: caFile`) },
    ]),
  );
}

function readYaml(file: string): unknown {
  const text = readText(file, '--registries');
  try {
    return parse(text);
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message.split('\n')[0]!}`, { cause: error });
  }
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`${what}: cannot read ${file} (${code ?? 'unreadable'})`, { cause: error });
  }
}
