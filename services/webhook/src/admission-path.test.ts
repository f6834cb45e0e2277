import { describe, expect, it } from '@jest/globals';
import { admissionPath, type AdmissionWish, type PolicyAttempt } from './admission-path.ts';

describe('admissionPath', () => {
  it.each<[AdmissionWish, PolicyAttempt, string, string]>([
    ['webhook', 'not-wanted', 'webhook', 'Configured'],
    ['policy', 'installed', 'policy', 'Configured'],
    ['auto', 'installed', 'policy', 'Configured'],
    ['policy', 'not-registered', 'webhook', 'NotRegistered'],
    ['auto', 'not-registered', 'webhook', 'NotRegistered'],
    ['policy', 'not-served', 'webhook', 'NotServed'],
    ['auto', 'not-served', 'webhook', 'NotServed'],
    ['auto', 'not-in-cel', 'webhook', 'NotInCel'],
    ['policy', 'not-in-cel', 'unchanged', 'NotInCel'],
    ['auto', 'refused', 'webhook', 'RefusedByServer'],
    ['policy', 'refused', 'unchanged', 'RefusedByServer'],
    ['policy', 'changed-by-others', 'unchanged', 'ChangedByOthers'],
    ['auto', 'changed-by-others', 'unchanged', 'ChangedByOthers'],
    ['webhook', 'changed-by-others', 'unchanged', 'ChangedByOthers'],
  ])('%s, and the policy is %s: by %s, %s', (wish, attempt, by, reason) => {
    expect(admissionPath(wish, attempt)).toEqual({ by, reason });
  });
});
