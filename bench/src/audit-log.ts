import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** One request of a service of ours, as kube-apiserver saw it end. */
export interface AuditedRequest {
  readonly service: string;
  /** `list`, `create`, `patch`, .. */
  readonly verb: string;
  /** `cachedimages/status`. */
  readonly resource: string;
  /** Epoch ms. */
  readonly endedAt: number;
}

interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly stageTimestamp: string;
  readonly user?: { readonly username?: string };
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string };
}

const READS = new Set(['get', 'list', 'watch']);
const OURS = 'system:serviceaccount:kuik-system:kuik-';
const POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [{ level: 'Metadata', userGroups: ['system:serviceaccounts:kuik-system'] }, { level: 'None' }],
};

/** kube-apiserver's own account of what our services asked of it. */
export class AuditLog {
  readonly logFile: string;
  readonly policyFile: string;
  /** `service verb resource` of whole collections that were read so far; a watch counts once it has ended. */
  readonly collections = new Set<string>();
  #at = 0;
  #rest = '';

  constructor(folder: string) {
    this.logFile = path.join(folder, 'audit.log');
    this.policyFile = path.join(folder, 'audit-policy.json');
    writeFileSync(this.policyFile, JSON.stringify(POLICY));
  }

  /** What ended since the last call; watches and what keeps Leases alive are left out. */
  take(): AuditedRequest[] {
    const file = openSync(this.logFile, 'r');
    try {
      const bytes = Buffer.alloc(Math.max(fstatSync(file).size - this.#at, 0));
      this.#at += readSync(file, bytes, 0, bytes.length, this.#at);
      const lines = (this.#rest + bytes.toString('utf8')).split('\n');
      this.#rest = lines.pop() ?? '';
      return lines.flatMap((line) => {
        const event = JSON.parse(line) as AuditEvent;
        if (event.verb === 'list' || event.verb === 'watch') this.#noteCollection(event);
        return requestOf(event);
      });
    } finally {
      closeSync(file);
    }
  }

  #noteCollection({ verb, user, objectRef }: AuditEvent): void {
    const username = user?.username ?? '';
    if (!username.startsWith(OURS)) return;
    this.collections.add(`${username.slice(OURS.length)} ${verb} ${objectRef?.resource ?? ''}`);
  }
}

export function isWrite({ verb }: AuditedRequest): boolean {
  return !READS.has(verb);
}

function requestOf({ stage, verb, stageTimestamp, user, objectRef = {} }: AuditEvent): AuditedRequest[] {
  const username = user?.username ?? '';
  const { resource = '', subresource } = objectRef;
  if (stage !== 'ResponseComplete' || verb === 'watch' || resource === 'leases' || !username.startsWith(OURS))
    return [];
  return [
    {
      service: username.slice(OURS.length),
      verb,
      resource: subresource === undefined ? resource : `${resource}/${subresource}`,
      endedAt: Date.parse(stageTimestamp),
    },
  ];
}
