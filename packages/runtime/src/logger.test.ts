import { describe, expect, it } from '@jest/globals';
import { createLogger, logSettings } from './logger.ts';

function logged(options: { level?: 'info' | 'debug'; format?: 'json' | 'pretty' } = {}): {
  lines: string[];
  log: ReturnType<typeof createLogger>;
} {
  const lines: string[] = [];
  return { lines, log: createLogger({ service: 'gc', write: (line) => lines.push(line), ...options }) };
}

describe('createLogger', () => {
  it('writes one JSON line, message first, with the fields of its children', () => {
    const { lines, log } = logged();
    log.child({ requestId: 'r1' }).info('image removed', { image: 'docker.io/library/nginx:1', password: 'hunter2' });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\{"message":"image removed","level":"info","time":"\d{4}-/);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      service: 'gc',
      requestId: 'r1',
      image: 'docker.io/library/nginx:1',
      password: '[redacted]',
    });
  });

  it('hides secrets in the message itself', () => {
    const { lines, log } = logged();
    log.error('cannot reach nats://u:hunter2@nats');
    expect(lines[0]).not.toContain('hunter2');
  });

  it.each([
    { image: 'x', password: 'hunter2' },
    { image: 'x', url: 'nats://u:hunter2@nats' },
    { image: 'x', text: 'authorization: "hunter2"' },
    { image: 'x', nested: { password: 'hunter2' } },
    { image: 'x', list: ['redis://:hunter2@r'] },
    { image: 'x', error: new Error('https://hunter2@host refused') },
  ])('hides the secret of a line with %j', (fields) => {
    const { lines, log } = logged();
    log.info('a line', { ...fields, bytes: 3n, nothing: undefined });
    log.info('a line', fields);
    expect(lines).toHaveLength(2);
    expect(lines.join()).not.toContain('hunter2');
    expect(lines.map((line) => (JSON.parse(line) as { image: string }).image)).toEqual(['x', 'x']);
  });

  it('keeps to its level', () => {
    const { lines, log } = logged();
    log.debug('no');
    log.warn('yes');
    expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['yes']);
  });

  it('writes for people when asked', () => {
    const { lines, log } = logged({ format: 'pretty' });
    log.info('image removed', { bytes: 3, error: Object.assign(new Error('gone'), { code: 'E' }) });
    expect(lines[0]).toMatch(/INFO {2}gc\s+image removed bytes=3 error=\{"code":"E","message":"gone"\}$/);
  });

  it.each(['json', 'pretty'] as const)('says when it happened of what is told later, %s', (format) => {
    const { lines, log } = logged({ format });
    log.info('image removed', { time: '2026-01-02T03:04:05.678Z' });
    expect(lines[0]).toContain('03:04:05.678');
    expect(lines[0]!.match(/time/g) ?? []).toHaveLength(format === 'json' ? 1 : 0);
  });

  it.each([
    [{}, { level: 'info', format: 'json' }],
    [
      { LOG_LEVEL: 'DEBUG', LOG_FORMAT: 'pretty' },
      { level: 'debug', format: 'pretty' },
    ],
    [
      { LOG_LEVEL: 'loud', LOG_FORMAT: 'xml' },
      { level: 'info', format: 'json' },
    ],
  ])('takes %j as %j', (env, expected) => {
    expect(logSettings(env)).toEqual(expected);
  });
});
