import { spawnSync } from 'node:child_process';
import { requirePart } from '../packages/testbed/src/index.ts';

// Runs the pinned helm with the arguments given: `node scripts/helm.ts lint charts/kube-image-keeper`.
const { status, error } = spawnSync(await requirePart('helm'), process.argv.slice(2), { stdio: 'inherit' });
if (error) throw error;
process.exitCode = status ?? 1;
