import { describe, expect, it } from '@jest/globals';
import { ERROR_CODES, type ErrorName } from '@kuik/contracts';
import { errorAnswer } from './error-answer.ts';
import { PullFailure } from './failure.ts';

describe('errorAnswer', () => {
  const context = { requestId: 'r-1', repository: 'quay.io/a/b', reference: 'v1' };

  it.each((Object.keys(ERROR_CODES) as ErrorName[]).filter((name) => ERROR_CODES[name].http > 0))(
    '%s is spec-shaped and carries its code twice',
    (name) => {
      const answer = errorAnswer(new PullFailure(name, 'what happened'), context);
      const { errors } = JSON.parse(answer.body.toString()) as {
        errors: { code: string; message: string; detail: object }[];
      };
      expect(errors).toHaveLength(1);
      expect(errors[0]!.code).toBe(ERROR_CODES[name].oci);
      const remedy = ERROR_CODES[name].remedy.replaceAll('registries.<host>', 'registries["quay.io"]');
      const sentence = remedy.charAt(0).toUpperCase() + remedy.slice(1);
      expect(errors[0]!.message).toBe(`${ERROR_CODES[name].code}: what happened. ${sentence}.`);
      expect(errors[0]!.detail).toEqual({ code: ERROR_CODES[name].code, remedy, ...context });
      expect(answer.status).toBe(ERROR_CODES[name].http);
      expect(answer.headers['Content-Length']).toBe(String(answer.body.length));
      expect(answer.headers['Docker-Distribution-Api-Version']).toBe('registry/2.0');
    },
  );

  it.each([
    ['registry.example.test__5000/a/b', 'registries["registry.example.test:5000"].ca'],
    ['nginx', 'registries["docker.io"].ca'],
    [undefined, 'registries.<host>.ca'],
  ])('names the setting of the host itself: %s', (repository, setting) => {
    const asked = { requestId: 'r-1', ...(repository === undefined ? {} : { repository }) };
    const { errors } = JSON.parse(errorAnswer(new PullFailure('tls', 'x'), asked).body.toString()) as {
      errors: { message: string }[];
    };
    expect(errors[0]!.message).toContain(`. Set ${setting}.`);
  });

  it('says the same beside the status, in one line that HTTP allows', () => {
    const { reason } = errorAnswer(new PullFailure('upstreamUnreachable', 'no “way”\r\nX: y'), context);
    expect(reason).toMatch(/^KUIK-REG-503: no way X: y\. Check that the registry is up/);
    expect(errorAnswer(new PullFailure('upstreamUnreachable', 'x'.repeat(5000)), context).reason).toHaveLength(400);
  });

  it('tells which methods are allowed, and when to come back', () => {
    expect(errorAnswer(new PullFailure('readOnly', 'x'), context).headers['Allow']).toBe('GET, HEAD');
    const limited = new PullFailure('rateLimited', 'x', { retryAfterMs: 1200 });
    expect(errorAnswer(limited, context).headers['Retry-After']).toBe('2');
  });
});
