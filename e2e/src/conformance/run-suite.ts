import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { requirePart, runFolder } from '@kuik/testbed';
import { parse } from 'yaml';

export type Status = 'Pass' | 'FAIL' | 'Skip' | 'Disabled' | 'Error' | 'Unknown';

/** What the suite found. */
export interface Findings {
  /** By part of the API. */
  readonly apis: Readonly<Record<string, Status>>;
  /** By kind of content. */
  readonly data: Readonly<Record<string, Status>>;
  /** Each test that neither passed nor was left out, with what the suite says of it. */
  readonly failures: readonly string[];
  readonly passed: number;
  /** Its reports: `report.html` shows every request and answer. */
  readonly folder: string;
}

/**
 * Runs the conformance suite of the OCI distribution spec (v1.1) against `registry` (host and port, plain HTTP). `settings` are the suite's
 * own variables. Throws when it ended without a result.
 */
export async function runSuite(
  name: string,
  registry: string,
  repositories: readonly [string, string],
  settings: Readonly<Record<string, string>>,
): Promise<Findings> {
  const folder = path.join(runFolder(), `conformance-${name}`);
  mkdirSync(folder, { recursive: true });
  const [first, second] = repositories;
  const child = spawn(await requirePart('oci-conformance'), [], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      OCI_VERSION: '1.1',
      OCI_REGISTRY: registry,
      OCI_TLS: 'disabled',
      OCI_REPO1: first,
      OCI_REPO2: second,
      OCI_RESULTS_DIR: folder,
      OCI_LOG: 'error',
      ...settings,
    },
  });
  let [printed, complaints] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  await new Promise((resolve, reject) => child.on('close', resolve).on('error', reject));
  const counted = /^\s+Pass\.+:\s+(\d+)$/m.exec(printed)?.[1];
  if (counted === undefined) throw new Error(`the conformance suite came to no result:\n${complaints.slice(-2000)}`);
  const { apis, data } = parse(readFileSync(path.join(folder, 'results.yaml'), 'utf8')) as Findings;
  return { apis, data, failures: failuresOf(printed), passed: Number(counted), folder };
}

/**
 * The tests that failed, or found something missing that a registry may lack, from the report that the suite prints: an indented tree, each
 * leaf followed by its errors.
 */
export function failuresOf(report: string): string[] {
  const lines = report.slice(0, report.indexOf('\nConfiguration:')).split('\n');
  return lines.flatMap((line, at) => {
    const test = /^ *(.+): (?:FAIL|Error|Skip)$/.exec(line)?.[1];
    const said = lines[at + 1]?.trim() ?? '';
    // Only leaves have errors of their own.
    return test !== undefined && said.startsWith('- ') ? [`${test}: ${said.slice(2)}`] : [];
  });
}
