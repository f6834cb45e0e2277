import { describe, expect, it } from '@jest/globals';
import { tryIt } from './try-it.ts';

const proxy = 'localhost:39001';

describe('tryIt', () => {
  it('with the built-in upstream names the image of the story and the switchboard', () => {
    const text = tryIt({ proxy, pulled: 'registry.example.test/shop:1.0', upstream: 'builtin' }).join('\n');
    expect(text).toContain('docker://localhost:39001/registry.example.test/shop:1.0');
    expect(text).toContain('$FAULTS_URL');
  });

  it('says where pods really start, and where not', () => {
    expect(tryIt({ proxy, upstream: 'builtin', node: true }).join('\n')).toContain('pods really start');
    expect(tryIt({ proxy, upstream: 'none' }).join('\n')).toContain('there are no nodes');
    expect(tryIt({ proxy, upstream: 'none', node: true }).join('\n')).not.toContain('no nodes');
  });

  it("with a person's own registries names each, and how an image of it is cached and pulled", () => {
    const registries = { 'r.example.test': { address: '127.0.0.1:5000' }, 's.example.test': {} };
    const text = tryIt({ proxy, upstream: 'none', registries }).join('\n');
    expect(text).toContain('Your registry r.example.test is at 127.0.0.1:5000.\nYour registry s.example.test.');
    expect(text).toContain('--image=r.example.test/<path>:<tag>');
    expect(text).toContain('docker://localhost:39001/r.example.test/<path>:<tag>');
    expect(text).not.toContain('FAULTS_URL');
  });

  it('without any says how one is given', () => {
    expect(tryIt({ proxy, upstream: 'none' }).join('\n')).toContain(
      '--registries FILE, one line each: registry.example.test: { address: "127.0.0.1:5000", plainHTTP: true }',
    );
  });
});
