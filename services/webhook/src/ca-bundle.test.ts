import { describe, expect, it } from '@jest/globals';
import { planCaBundle } from './ca-bundle.ts';

const PEM = 'pem of the authority';
const caBundle = Buffer.from(PEM).toString('base64');
const right = { name: 'a', clientConfig: { caBundle } };

describe('planCaBundle', () => {
  it.each([
    ['no list', undefined],
    ['no webhooks', []],
    ['right already', [right]],
  ])('writes nothing: %s', (_, webhooks) => {
    expect(planCaBundle(webhooks, PEM)).toBeUndefined();
  });

  it.each([
    ['none yet', [{ name: 'a', clientConfig: { url: 'https://x' } }]],
    ['another one', [{ name: 'a', clientConfig: { url: 'https://x', caBundle: 'b2xk' } }]],
    ['one of two', [{ name: 'a', clientConfig: { url: 'https://x', caBundle: 'b2xk' } }, right]],
  ])('gives it to each, and leaves the rest as it is: %s', (_, webhooks) => {
    const expected = webhooks.map((webhook) => ({ ...webhook, clientConfig: { ...webhook.clientConfig, caBundle } }));
    expect(planCaBundle(webhooks, PEM)).toEqual(expected);
  });
});
