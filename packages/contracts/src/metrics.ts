/** A metric's declaration; both the service and the docs take it from here. */
export interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}

const counter = (name: string, help: string, ...labels: string[]): MetricSpec => ({
  type: 'counter',
  name,
  help,
  labels,
});
const gauge = (name: string, help: string, ...labels: string[]): MetricSpec => ({ type: 'gauge', name, help, labels });
const histogram = (name: string, help: string, buckets: number[], ...labels: string[]): MetricSpec => ({
  type: 'histogram',
  name,
  help,
  labels,
  buckets,
});

const FAST = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 2];
const SLOW = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800];

/** Every metric of ours. Units are in the names. */
export const METRICS = {
  admissions: counter('kuik_webhook_admissions_total', 'Admission reviews answered', 'operation', 'result'),
  admissionImages: counter(
    'kuik_webhook_images_total',
    'Images decided at admission, by the rule that decided',
    'verdict',
    'reason',
    'rule',
  ),
  admissionSeconds: histogram('kuik_webhook_admission_seconds', 'Time to answer an admission review', FAST),
  proxyRequests: counter('kuik_proxy_requests_total', 'Pull requests answered', 'kind', 'origin', 'reason', 'status'),
  proxyBytes: counter('kuik_proxy_bytes_total', 'Body bytes sent to clients', 'origin'),
  proxyFirstByteSeconds: histogram(
    'kuik_proxy_first_byte_seconds',
    'Time to the first byte of an answer',
    FAST,
    'origin',
  ),
  proxyResumes: counter('kuik_proxy_resumes_total', 'Bodies continued from another origin in the middle', 'from', 'to'),
  proxyTagChecks: counter(
    'kuik_proxy_tag_checks_total',
    'Questions to upstream whether a tag that is pulled has moved: same, moved, or why it could not be told',
    'result',
  ),
  proxyAccess: counter(
    'kuik_proxy_access_total',
    'Pulls looked at by who may pull: allowed, challenged, denied, would-deny (mode warn); those of images that are known to be public are not counted',
    'decision',
    'reason',
  ),
  proxyBreaker: gauge('kuik_proxy_cache_breaker_open', 'Whether the cache registry is being spared (1) or asked (0)'),
  proxyFailures: counter(
    'kuik_proxy_failures_total',
    'Pulls that failed, or whose body was broken off, by code (docs/errors.md); client-gone: the client left',
    'code',
  ),
  proxyCacheFailures: counter(
    'kuik_proxy_cache_failures_total',
    'Requests that the cache registry did not answer, by why: refused, timeout, server-error and so on',
    'code',
  ),
  proxyCacheWrong: counter(
    'kuik_proxy_cache_wrong_total',
    'Manifests and blobs whose bytes in the cache registry were not what their digest says',
  ),
  proxySparedUpstreams: gauge(
    'kuik_proxy_upstream_breakers_open',
    'Hosts of registries, token servers or blobs that are being spared because they did not answer',
  ),
  proxyUpstreamSpared: counter(
    'kuik_proxy_upstream_spared_total',
    'Requests not made to a host of upstream because it did not answer several in a row',
  ),
  proxyOwners: gauge('kuik_proxy_transfer_owners', 'Copiers known that give away what they read from upstream'),
  proxyShared: counter(
    'kuik_proxy_shared_reads_total',
    'Blobs that the cache lacked: read through a copier (shared), refused by upstream through it (refused), read alone (why)',
    'result',
  ),
  watchObjects: gauge('kuik_watch_objects', 'Objects in a local copy', 'resource'),
  watchContactSeconds: gauge('kuik_watch_last_contact_seconds', 'Age of the last word of the API server', 'resource'),
  watchKnown: gauge(
    'kuik_watch_known',
    'Whether a collection is known in full and up to date (1); while one is not (0), no image is removed',
    'resource',
  ),
  watchRestarts: counter('kuik_watch_restarts_total', 'Lists and watches started', 'resource', 'why'),
  resyncRepairs: counter(
    'kuik_resync_repairs_total',
    'What a full list found other than it was known: objects that no watch had told of, by collection; image states in NATS',
    'what',
  ),
  kubeCalls: counter('kuik_kube_calls_total', 'Calls to the API server', 'verb', 'resource', 'status'),
  leader: gauge('kuik_leader', 'Whether this replica holds the lease'),
  cachedImages: gauge('kuik_cached_images', 'CachedImages by phase', 'phase'),
  intents: counter('kuik_intents_total', 'Decisions of nextStep', 'step', 'reason'),
  holders: gauge('kuik_image_holders', 'Holds of images, by the kind of who holds them', 'kind'),
  orphaned: gauge('kuik_orphaned_images', 'Images that are cached and that upstream does not have any more'),
  expiryQueue: gauge(
    'kuik_expiry_queue',
    'Images on their way out: their date is to come, is past, or they are condemned',
    'state',
  ),
  sparedOwners: gauge('kuik_spared_owners', 'Owners whose pods are not rewritten any more, because they fought it'),
  ownerFights: counter(
    'kuik_owner_fights_total',
    'Owners found making pods anew because of their images: spared from now on, known (spared already), unknowable (its uid is no key)',
    'result',
  ),
  providerLogins: counter(
    'kuik_provider_logins_total',
    'Questions to credential providers (cloud identities, plugins)',
    'provider',
    'result',
  ),
  brokerRequests: counter('kuik_broker_requests_total', 'Credential requests answered', 'requester', 'result'),
  accessVerdicts: counter(
    'kuik_access_verdicts_total',
    'Verdicts on who may pull from a repository, as the broker gave them',
    'verdict',
    'reason',
  ),
  pullGrants: counter(
    'kuik_pull_grants_total',
    'Pull secrets of service accounts: written, in date (valid), left alone because somebody else made them (foreign), without a service account (gone)',
    'result',
  ),
  copies: counter('kuik_copies_total', 'Copies ended', 'result', 'code'),
  copySeconds: histogram('kuik_copy_seconds', 'Time of a copy', SLOW),
  copyBytes: counter('kuik_copy_bytes_total', 'Blob bytes by how they came to be in the cache', 'how'),
  copyActive: gauge('kuik_copies_active', 'Copies under way'),
  copyProgressBytes: gauge('kuik_copy_progress_bytes', 'Bytes done of the copies under way'),
  transfersActive: gauge('kuik_transfers_active', 'Blobs that this process reads for everybody'),
  transferBytes: counter('kuik_transfer_bytes_total', 'Bytes that transfers read, by where from, and gave away', 'way'),
  copySparedUpstreams: gauge(
    'kuik_copy_upstream_breakers_open',
    'Hosts of registries, token servers or blobs that a copier spares because they did not answer',
  ),
  copyUpstreamSpared: counter(
    'kuik_copy_upstream_spared_total',
    'Requests that a copier did not make to a host of upstream because it did not answer several in a row',
  ),
  transferJoins: counter('kuik_transfer_joins_total', 'Readers that came to this process, by what they got', 'result'),
  transferStores: counter(
    'kuik_transfer_stores_total',
    'Blobs of pulls that were to be put into the cache: stored, failed',
    'result',
  ),
  transferLeft: counter(
    'kuik_transfer_left_total',
    'Looks for what former owners of a transfer left on their disks, by whether they were there',
    'result',
  ),
  transferSpoolBytes: gauge('kuik_transfer_spool_bytes', 'Room that spool files have taken'),
  monitorChecks: counter('kuik_monitor_checks_total', 'Upstream checks', 'host', 'result'),
  monitorDue: gauge('kuik_monitor_due', 'Images whose check is due', 'host'),
  monitorBudget: gauge('kuik_monitor_budget_left', 'Checks left in the interval', 'host'),
  quotaLimit: gauge(
    'kuik_upstream_quota_limit',
    'Requests that a registry counts in its window, in its own words',
    'host',
  ),
  quotaRemaining: gauge(
    'kuik_upstream_quota_remaining',
    'Requests left in the window of a registry, in its own words; of several identities the one with least',
    'host',
  ),
  quotaRefill: gauge(
    'kuik_upstream_quota_refill_seconds',
    "Time until what was spent of a registry's quota is back, at the latest",
    'host',
  ),
  upstreamParked: gauge(
    'kuik_upstream_parked_seconds',
    'Time for which nobody asks a registry that limited us: `anonymous`, or with a `credential` (of several the one that rests longest)',
    'host',
    'identity',
  ),
  proxyUpstreamParked: counter(
    'kuik_proxy_upstream_parked_total',
    'Manifests not asked of a registry because it limits us: answered at once',
  ),
  manifestsShared: counter(
    'kuik_manifests_shared_total',
    'Manifests of registries that count them, by how they were come by: read (counted upstream), remembered, refused',
    'how',
  ),
  upstreamImages: gauge('kuik_upstream_images', 'Images by what upstream says', 'state'),
  gcCondemned: gauge('kuik_gc_condemned', 'Images condemned and not yet removed'),
  gcRemoved: counter('kuik_gc_removed_total', 'Images removed', 'reason'),
  gcKept: counter('kuik_gc_kept_total', 'Removals called off', 'reason'),
  presenceLooks: counter('kuik_presence_looks_total', 'Images looked for in the cache: there, missing', 'result'),
  busMessages: counter('kuik_bus_messages_total', 'Messages by fate', 'subject', 'fate'),
  busConnected: gauge('kuik_bus_connected', 'Whether NATS is connected'),
  settingsReloads: counter(
    'kuik_settings_reload_total',
    "Changes of a service's settings file: applied, refused",
    'result',
  ),
  rulesReloads: counter('kuik_rules_reload_total', 'Changes of the rules file: applied, refused', 'result'),
  admissionByPolicy: gauge(
    'kuik_admission_by_policy',
    'Whether pods are admitted by a policy in the API server (1), not by us',
  ),
  admissionPolicies: counter('kuik_admission_policy_total', 'Admission policies: applied, refused, removed', 'result'),
  loopFailures: counter('kuik_loop_failures_total', 'Rounds of a loop that failed', 'loop', 'code'),
  loopSeconds: histogram('kuik_loop_seconds', 'Time of one round of a loop', SLOW, 'loop'),
} as const satisfies Record<string, MetricSpec>;
