import { describe, expect, it } from '@jest/globals';
import { requestOf, reviewOf } from './fixtures.ts';
import { MalformedReview, readReview } from './review.ts';

const text = (value: string) => Buffer.from(value);

describe('readReview', () => {
  it('reads a review', () => {
    expect(readReview(reviewOf(requestOf(null))).uid).toBe(requestOf(null).uid);
  });

  it.each([
    ['empty', text(''), 'the body is empty'],
    ['truncated', reviewOf(requestOf(null)).subarray(0, 40), 'the body is not JSON'],
    ['not JSON', text('hello'), 'the body is not JSON'],
    ['null', text('null'), 'the body is null'],
    ['a list', text('[]'), 'the body is a list'],
    ['a number', text('7'), 'the body is a number'],
    ['another kind', reviewOf(requestOf(null), { kind: 'Pod' }), 'kind is not AdmissionReview'],
    [
      'v1beta1',
      reviewOf(requestOf(null), { apiVersion: 'admission.k8s.io/v1beta1' }),
      'apiVersion is "admission.k8s.io/v1beta1"',
    ],
    ['no apiVersion', reviewOf(requestOf(null), { apiVersion: undefined }), 'apiVersion is undefined'],
    ['no request', reviewOf(undefined), 'request is missing'],
    ['a null request', reviewOf(null), 'request is null'],
    ['a list as request', reviewOf([]), 'request is a list'],
    ['no uid', reviewOf({ object: {} }), 'request.uid is missing'],
    ['an empty uid', reviewOf({ uid: '' }), 'request.uid is missing'],
  ])('refuses %s with 400 and says why', (_, body, why) => {
    const refusal = (() => {
      try {
        return readReview(body);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toBeInstanceOf(MalformedReview);
    expect(refusal).toMatchObject({ status: 400, message: expect.stringContaining(why) as unknown });
  });
});
