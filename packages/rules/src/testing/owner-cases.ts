import { oneCase, type Owner, type RuleCase } from './one-case.ts';

const SHOP = 'Rewritten default localhost:7439/quay.io/acme/shop:1.0' as const;
const UID = '0be1f7aa-1111-4222-8333-444455556666';
const OTHER = '77aa01bd-1111-4222-8333-444455556666';
const DB: Owner = { apiVersion: 'postgresql.cnpg.io/v1', kind: 'Cluster', name: 'db', uid: UID, controller: true };
const SPARED = { owners: [DB], sparedOwners: [OTHER, UID] };

/** Cases of pods whose owner fought the rewriting, and of others beside them. */
export const OWNER_CASES: readonly RuleCase[] = [
  oneCase('an owner that is spared', {}, SPARED, `OwnerSpared sparedOwners.${UID}`),
  oneCase('another owner', {}, { owners: [DB], sparedOwners: [OTHER] }, SHOP),
  oneCase('an owner, and nobody is spared', {}, { owners: [DB] }, SHOP),
  oneCase('no owner', {}, { sparedOwners: [UID] }, SHOP),
  oneCase('no owner at all in the list', {}, { owners: [], sparedOwners: [UID] }, SHOP),
  oneCase(
    'an owner that is spared and no controller, beside one that is neither',
    {},
    {
      owners: [
        { ...DB, name: 'a', uid: 'another' },
        { apiVersion: 'v1', kind: 'ConfigMap', name: 'b', uid: OTHER },
      ],
      sparedOwners: [OTHER],
    },
    `OwnerSpared sparedOwners.${OTHER}`,
  ),
  oneCase(
    'of an owner that is spared, an image that is ignored',
    { ignoreImages: ['shop'] },
    SPARED,
    'Ignored ignoreImages[0]',
  ),
  oneCase(
    'of an owner that is spared, through the proxy already',
    {},
    { ...SPARED, image: 'localhost:7439/quay.io/acme/shop:1.0' },
    'AlreadyRewritten proxyPrefixes',
  ),
  oneCase('of an owner that is spared, in mode off', { mode: 'off' }, SPARED, 'ModeOff mode'),
  oneCase('of an owner that is spared, in mode observe', { mode: 'observe' }, SPARED, 'Observed mode'),
];
