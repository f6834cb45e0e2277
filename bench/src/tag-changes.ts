import { makeImage, pushImage, until, type MadeImage } from '@kuik/testbed';
import { KEPT, type ProxyBed } from './proxy-bed.ts';

/** Seconds until the proxy served what the cache holds now. */
export interface TagChanges {
  readonly rewrittenByState: number;
  readonly deletedByState: number;
  readonly rewrittenWithoutNats: number;
  readonly deletedWithoutNats: number;
}

const LIMIT_MS = 30_000;

/** Rewrites and deletes a tag in the cache under the proxy's feet, told of by state and (NATS killed) not told of at all. */
export async function measureTagChanges(bed: ProxyBed): Promise<TagChanges> {
  const [one, two] = [await makeImage({ seed: 'tag-1' }), await makeImage({ seed: 'tag-2' })];
  const keep = (tag: string, image: MadeImage): Promise<unknown> => {
    const authorization = bed.cache.authorization('writer', [{ repository: KEPT, actions: ['pull', 'push'] }]);
    return pushImage(bed.cache.writerUrl, KEPT, [tag], image, { authorization });
  };
  const drop = async (tag: string): Promise<void> => {
    const authorization = bed.cache.authorization('writer', [{ repository: KEPT, actions: ['delete'] }]);
    const url = `${bed.cache.writerUrl}/v2/${KEPT}/manifests/${tag}`;
    const answer = await fetch(url, { method: 'DELETE', headers: { authorization } });
    if (answer.status !== 202) throw new Error(`cannot delete the tag ${tag}: HTTP ${answer.status}`);
  };
  const seen = async (tag: string, digest: string | undefined): Promise<number> => {
    const began = performance.now();
    const url = `${bed.proxyUrl}/v2/${KEPT}/manifests/${tag}`;
    const same = async (): Promise<boolean> => {
      const answer = await fetch(url, { method: 'HEAD' });
      return digest === undefined ? !answer.ok : answer.headers.get('docker-content-digest') === digest;
    };
    await until(same, { what: `${tag} to be ${digest ?? 'gone'}`, timeoutMs: LIMIT_MS, everyMs: 10 });
    return (performance.now() - began) / 1000;
  };

  await keep('told', one);
  await keep('untold', one);
  await bed.tell('told', one.digest);
  await bed.tell('untold', one.digest);
  await seen('told', one.digest);
  await seen('untold', one.digest);
  await keep('told', two);
  await bed.tell('told', two.digest);
  const rewrittenByState = await seen('told', two.digest);
  await drop('told');
  await bed.tell('told', undefined);
  const deletedByState = await seen('told', undefined);

  await bed.nats.kill();
  await keep('untold', two);
  const rewrittenWithoutNats = await seen('untold', two.digest);
  await drop('untold');
  const deletedWithoutNats = await seen('untold', undefined);
  await bed.nats.restart();
  return { rewrittenByState, deletedByState, rewrittenWithoutNats, deletedWithoutNats };
}
