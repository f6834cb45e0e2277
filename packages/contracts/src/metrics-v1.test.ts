import { expect, it } from '@jest/globals';
import { METRICS_V1 } from './metrics-v1.ts';

const CONTROLLER = 'kube_image_keeper_controller';
const PROXY = 'kube_image_keeper_proxy';
const BUILD = ['version', 'revision', 'built', 'goversion', 'goos', 'goarch'];

// As kuik v1.14 had them: dashboards and alerts select by these very words.
it.each<[string, string, string[]]>([
  [`${CONTROLLER}_build_info`, 'gauge', BUILD],
  [`${CONTROLLER}_up`, 'gauge', []],
  [`${CONTROLLER}_is_leader`, 'gauge', []],
  [`${CONTROLLER}_cached_images`, 'gauge', ['status', 'cached', 'expiring']],
  [`${CONTROLLER}_repositories`, 'gauge', ['status']],
  [`${CONTROLLER}_containers_with_cached_image`, 'gauge', ['status', 'cached']],
  [`${CONTROLLER}_image_caching_request`, 'counter', ['successful', 'upstream_registry']],
  [`${CONTROLLER}_image_put_in_cache_total`, 'counter', []],
  [`${CONTROLLER}_image_removed_from_cache_total`, 'counter', []],
  [`${PROXY}_http_requests_total`, 'counter', ['registry', 'statusCode', 'cacheHit']],
  [`${PROXY}_build_info`, 'gauge', BUILD],
])("v1's metric %s is a %s with labels %j", (name, type, labels) => {
  const metric = Object.values(METRICS_V1).find((each) => each.name === name);
  expect([metric?.type, metric?.labels]).toEqual([type, labels]);
});
