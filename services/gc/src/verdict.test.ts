import { describe, expect, it } from '@jest/globals';
import { sized } from '@kuik/tooling';
import fc from 'fast-check';
import { at, condemned, GRACE_MS, imageOf, NOW, type ImageChange } from './fixtures.ts';
import { expiry, finalizersOf, verdict } from './verdict.ts';

const uid = 'uid-nginx';
const used = { forUid: uid, count: 2 };
const unused = { forUid: uid, count: 0 };
const blind = { ...unused, unread: ['Rollout.argoproj.io'] };
const strangers = { forUid: 'somebody else', count: 0 };
const copied = (minutes: number) => ({ forUid: uid, digest: 'sha256:x', copiedAt: at(minutes) });

describe('verdict', () => {
  it.each<[string, ImageChange, string, string]>([
    // Not condemned.
    ['unused and past its computed date', {}, 'condemn', 'Unused'],
    ["past a person's date", { spec: { expiresAt: at(-1) } }, 'condemn', 'Expired'],
    ['exactly at its date', { spec: { expiresAt: at(0) } }, 'condemn', 'Expired'],
    ["before a person's date, though the computed one is past", { spec: { expiresAt: at(1) } }, 'leave', 'NotExpired'],
    ['before its computed date', { status: { expiresAt: at(1) } }, 'leave', 'NotExpired'],
    ['no date at all', { status: { expiresAt: undefined } }, 'leave', 'NotExpired'],
    ['a date that is none', { status: { expiresAt: 'soon' } }, 'leave', 'NotExpired'],
    ['retained', { spec: { retain: true } }, 'leave', 'Retained'],
    ['retained, with a date', { spec: { retain: true, expiresAt: at(-1) } }, 'leave', 'Retained'],
    ['in use', { status: { usedBy: used } }, 'leave', 'InUse'],
    ["in use, past a person's date", { spec: { expiresAt: at(-1) }, status: { usedBy: used } }, 'leave', 'InUse'],
    ['nobody has said who holds it', { status: { usedBy: undefined } }, 'leave', 'HoldersUnknown'],
    ['held by nobody who could be seen', { status: { usedBy: blind } }, 'leave', 'HoldersUnknown'],
    [
      "the same, past a person's date",
      { spec: { expiresAt: at(-1) }, status: { usedBy: blind } },
      'leave',
      'HoldersUnknown',
    ],
    [
      'condemned, then some could not be seen',
      { status: { removal: condemned(9), usedBy: blind } },
      'leave',
      'HoldersUnknown',
    ],
    ['holders of a former object of this name', { status: { usedBy: strangers } }, 'leave', 'HoldersUnknown'],
    ['condemned as a former object', { status: { removal: { ...condemned(9), forUid: 'x' } } }, 'condemn', 'Unused'],
    // Condemned.
    ['condemned a moment ago', { status: { removal: condemned(1) } }, 'wait', 'Grace'],
    ['condemned just less than the grace ago', { status: { removal: condemned(4.999) } }, 'wait', 'Grace'],
    ['condemned the grace ago', { status: { removal: condemned(5) } }, 'remove', 'Unused'],
    ['used again', { status: { removal: condemned(9), usedBy: used } }, 'keep', 'InUse'],
    ['used again in its grace', { status: { removal: condemned(1), usedBy: used } }, 'keep', 'InUse'],
    ['retained since', { status: { removal: condemned(9) }, spec: { retain: true } }, 'keep', 'Retained'],
    ['its date moved', { status: { removal: condemned(9) }, spec: { expiresAt: at(9) } }, 'keep', 'NotExpired'],
    ['holders unknown since', { status: { removal: condemned(9), usedBy: strangers } }, 'leave', 'HoldersUnknown'],
    // Removed.
    ['removed', { status: { removal: condemned(9, { removedAt: at(-1) }) } }, 'finish', 'Unused'],
    [
      'removed, then used',
      { status: { removal: condemned(9, { removedAt: at(-1) }), usedBy: used } },
      'recall',
      'InUse',
    ],
    [
      'removed, used and copied again',
      { status: { removal: condemned(9, { removedAt: at(-2) }), usedBy: used, cache: copied(-1) } },
      'keep',
      'InUse',
    ],
    [
      'removed, copied again and holders unknown',
      { status: { removal: condemned(9, { removedAt: at(-2) }), usedBy: strangers, cache: copied(-1) } },
      'leave',
      'HoldersUnknown',
    ],
    [
      'removed, copied again and unused',
      { status: { removal: condemned(9, { removedAt: at(-2) }), usedBy: unused, cache: copied(-1) } },
      'condemn',
      'Unused',
    ],
    [
      'removed, then retained',
      { status: { removal: condemned(9, { removedAt: at(-1) }) }, spec: { retain: true } },
      'recall',
      'Retained',
    ],
    [
      'removed, holders unknown since',
      { status: { removal: condemned(9, { removedAt: at(-1) }), usedBy: strangers } },
      'leave',
      'HoldersUnknown',
    ],
    // Deleted by a person.
    ['deleted', { deleting: true }, 'release', 'Deleted'],
    [
      'deleted, though retained and used',
      { deleting: true, spec: { retain: true }, status: { usedBy: used } },
      'release',
      'Deleted',
    ],
    ['deleted, condemned before', { deleting: true, status: { removal: condemned(9) } }, 'release', 'Deleted'],
    [
      'deleted with a finalizer of kuik v1',
      { deleting: true, finalizers: ['cachedimage.kuik.enix.io/finalizer'] },
      'release',
      'Deleted',
    ],
    ["deleted, waiting for somebody else's finalizer", { deleting: true, finalizers: ['x/y'] }, 'leave', 'Deleted'],
  ])('%s', (_, change, what, reason) => {
    const base = imageOf();
    const image = imageOf({ ...change, status: { ...base.status, ...change.status } });
    expect(verdict(image, NOW, GRACE_MS)).toMatchObject({ do: what, reason });
  });

  it('says until when it waits', () => {
    const image = imageOf({ status: { ...imageOf().status, removal: condemned(1) } });
    expect(verdict(image, NOW, GRACE_MS)).toEqual({ do: 'wait', reason: 'Grace', until: Date.parse(at(4)) });
  });

  it('never lets go of, nor condemns, what is retained, used, or of unknown use', () => {
    // 120 days and more: also of a clock that jumped.
    const minutes = fc.integer({ min: -200_000, max: 200_000 });
    const change = fc.record({
      held: fc.oneof(
        fc.record({ retain: fc.boolean(), usedBy: fc.constantFrom(used, strangers, blind) }),
        fc.record({ retain: fc.constant(true), usedBy: fc.constant(unused) }),
      ),
      expiresAt: fc.option(minutes, { nil: undefined }),
      condemnedAt: fc.option(minutes, { nil: undefined }),
      removedAt: fc.option(minutes, { nil: undefined }),
      copiedAt: minutes,
    });
    fc.assert(
      fc.property(change, (bent) => {
        const image = imageOf({
          spec: {
            retain: bent.held.retain,
            ...(bent.expiresAt === undefined ? {} : { expiresAt: at(bent.expiresAt) }),
          },
          status: {
            expiresAt: at(-1),
            cache: copied(bent.copiedAt),
            usedBy: bent.held.usedBy,
            ...(bent.condemnedAt === undefined
              ? {}
              : {
                  removal: {
                    ...condemned(-bent.condemnedAt),
                    ...(bent.removedAt === undefined ? {} : { removedAt: at(bent.removedAt) }),
                  },
                }),
          },
        });
        expect(expiry(image, NOW).expired).toBe(false);
        expect(['keep', 'leave', 'recall']).toContain(verdict(image, NOW, GRACE_MS).do);
      }),
      { numRuns: sized({ usual: 100, full: 5_000 }) },
    );
  });
});

describe('finalizersOf', () => {
  it('names ours and those of kuik v1, and no others', () => {
    const finalizers = ['a/b', 'kuik.enix.io/cached-image', 'cachedimage.kuik.enix.io/finalizer', 'foregroundDeletion'];
    expect(finalizersOf(imageOf({ finalizers }))).toEqual(finalizers.slice(1, 3));
    expect(finalizersOf(imageOf({ finalizers: [] }))).toEqual([]);
  });
});
