import { describe, expect, it } from '@jest/globals';
import { planCaBundle } from './ca-bundle.ts';

const PEM = 'pem of the authority';
const base64 = Buffer.from(PEM).toString('base64');
const metadata = { name: 'kuik-webhook', uid: 'u', resourceVersion: '1' };

describe('planCaBundle', () => {
  it.each<[string, { name: string; clientConfig?: { caBundle?: string } }[] | undefined, number[]]>([
    ['no webhooks', [], []],
    ['no list', undefined, []],
    ['none yet', [{ name: 'a', clientConfig: {} }], [0]],
    ['right already', [{ name: 'a', clientConfig: { caBundle: base64 } }], []],
    ['another one', [{ name: 'a', clientConfig: { caBundle: 'b2xk' } }], [0]],
    [
      'one of two',
      [
        { name: 'a', clientConfig: { caBundle: base64 } },
        { name: 'b', clientConfig: {} },
      ],
      [1],
    ],
  ])('%s', (_, webhooks, indexes) => {
    const configuration = webhooks === undefined ? { metadata } : { metadata, webhooks };
    expect(planCaBundle(configuration, PEM)).toEqual(
      indexes.flatMap((index) => [
        { op: 'test', path: `/webhooks/${index}/name`, value: webhooks![index]!.name },
        { op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value: base64 },
      ]),
    );
  });
});
