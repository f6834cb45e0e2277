import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { composeIdentities } from '../e2e/src/stack/compose-identities.ts';

// Writes deploy/compose/identities.yaml anew; a test says when it has to be.
const file = path.resolve(import.meta.dirname, '../deploy/compose/identities.yaml');
writeFileSync(file, await composeIdentities());
