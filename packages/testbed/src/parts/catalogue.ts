import type { PartName } from '../port.ts';

/** How one part is recognised and had. */
export interface PartEntry {
  readonly name: PartName;
  /** Without `v`. Built parts have exactly this one; those of the system may be newer. */
  readonly version: string;
  /** Arguments that make it print its version (to stdout or stderr). */
  readonly versionArgs: readonly string[];
  /** Which versions found on PATH will do. */
  readonly accepts: (version: Version) => boolean;
  readonly source: GoModule | SystemPackage;
}

export interface GoModule {
  readonly kind: 'go';
  /** Folder under packages/testbed/parts that holds go.mod and go.sum. */
  readonly folder: string;
  readonly package: string;
  readonly ldflags?: string;
  /** Build tags: what of it is left out. */
  readonly tags?: readonly string[];
  /** Where it may be besides the cache folder; default PATH. */
  readonly folders?: readonly string[];
}

export interface SystemPackage {
  readonly kind: 'system';
  readonly apt: string;
  /** Left out: not to be had on macOS. */
  readonly brew?: string;
  /** Its program when that is not called as the part is, and where it is when not on PATH. */
  readonly program?: string;
  readonly folders?: readonly string[];
}

export type Version = readonly [major: number, minor: number, patch: number];

const KUBE = 'k8s.io/component-base/version';
const KUBE_VERSION = '1.36.3';
const CONTAINERD = 'github.com/containerd/containerd/v2';
const CONTAINERD_VERSION = '2.4.2';
const CONFORMANCE = '0.0.0-20260831232431-97274622c111';

const ENTRIES: readonly PartEntry[] = [
  {
    name: 'nats-server',
    version: '2.15.2',
    versionArgs: ['--version'],
    accepts: ([major, minor]) => major === 2 && minor >= 15,
    source: { kind: 'go', folder: 'nats-server', package: 'github.com/nats-io/nats-server/v2' },
  },
  {
    name: 'etcd',
    version: '3.7.3',
    versionArgs: ['--version'],
    accepts: ([major, minor]) => major === 3 && minor >= 7,
    source: { kind: 'go', folder: 'etcd', package: 'go.etcd.io/etcd/server/v3' },
  },
  {
    name: 'registry',
    version: '3.1.2',
    versionArgs: ['--version'],
    accepts: ([major, minor]) => major === 3 && minor >= 1,
    source: { kind: 'go', folder: 'registry', package: 'github.com/distribution/distribution/v3/cmd/registry' },
  },
  kubernetes('kube-apiserver', 'kube-apiserver'),
  {
    name: 'helm',
    version: '4.3.1',
    versionArgs: ['version', '--short'],
    accepts: ([major]) => major === 4,
    source: { kind: 'go', folder: 'helm', package: 'helm.sh/helm/v4/cmd/helm' },
  },
  {
    name: 'redis-server',
    version: '7.0.0',
    versionArgs: ['--version'],
    accepts: ([major]) => major >= 7,
    source: { kind: 'system', apt: 'redis-server', brew: 'redis' },
  },
  {
    name: 'skopeo',
    version: '1.9.0',
    versionArgs: ['--version'],
    accepts: ([major, minor]) => major > 1 || (major === 1 && minor >= 9),
    source: { kind: 'system', apt: 'skopeo', brew: 'skopeo' },
  },
  {
    name: 'kubectl',
    version: '1.30.0',
    versionArgs: ['version', '--client'],
    accepts: ([major, minor]) => major === 1 && minor >= 30,
    source: { kind: 'system', apt: 'kubectl', brew: 'kubernetes-cli' },
  },
  {
    name: 'nginx',
    version: '1.18.0',
    versionArgs: ['-v'],
    accepts: ([major, minor]) => major > 1 || (major === 1 && minor >= 18),
    source: { kind: 'system', apt: 'nginx', brew: 'nginx' },
  },
  {
    name: 'oci-conformance',
    version: CONFORMANCE,
    versionArgs: [],
    accepts: () => true,
    source: {
      kind: 'go',
      folder: 'oci-conformance',
      package: 'github.com/opencontainers/distribution-spec/conformance',
      ldflags: `-X main.Version=${CONFORMANCE}`,
      // It has no version to tell: whatever it is asked, it runs its tests.
      folders: [],
    },
  },
  containerd('containerd', ['--version']),
  containerd('containerd-shim-runc-v2', ['-v']),
  containerd('ctr', ['--version']),
  kubernetes('kube-controller-manager', 'kubernetes-node'),
  kubernetes('kube-scheduler', 'kubernetes-node'),
  kubernetes('kubelet', 'kubernetes-node'),
  {
    name: 'runc',
    version: '1.1.0',
    versionArgs: ['--version'],
    accepts: ([major, minor]) => major > 1 || (major === 1 && minor >= 1),
    source: { kind: 'system', apt: 'runc' },
  },
  {
    name: 'cni-plugins',
    version: '1.1.1',
    versionArgs: [],
    // Debian's do not know their own version; what they print is the versions of the protocol.
    accepts: () => true,
    source: {
      kind: 'system',
      apt: 'containernetworking-plugins',
      program: 'bridge',
      folders: ['/usr/lib/cni', '/opt/cni/bin'],
    },
  },
];

/** A program of Kubernetes; without the flags it would not know its own version. */
function kubernetes(name: PartName, folder: string): PartEntry {
  const [major, minor] = KUBE_VERSION.split('.');
  return {
    name,
    version: KUBE_VERSION,
    versionArgs: ['--version'],
    accepts: (version) => version[0] === Number(major) && version[1] === Number(minor),
    source: {
      kind: 'go',
      folder,
      package: `k8s.io/kubernetes/cmd/${name}`,
      ldflags: `-X ${KUBE}.gitVersion=v${KUBE_VERSION} -X ${KUBE}.gitMajor=${major} -X ${KUBE}.gitMinor=${minor}`,
    },
  };
}

/** A program of containerd, without the snapshotters that need more than a plain kernel. */
function containerd(name: PartName, versionArgs: readonly string[]): PartEntry {
  return {
    name,
    version: CONTAINERD_VERSION,
    versionArgs,
    accepts: ([major, minor]) => major === 2 && minor >= 2,
    source: {
      kind: 'go',
      folder: 'containerd',
      package: `${CONTAINERD}/cmd/${name}`,
      ldflags: `-X ${CONTAINERD}/version.Version=v${CONTAINERD_VERSION}`,
      tags: ['no_btrfs', 'no_devmapper', 'no_zfs'],
    },
  };
}

/** Every part the project may need, in the order in which they are built (cheap ones first). */
export const PARTS: ReadonlyMap<PartName, PartEntry> = new Map(ENTRIES.map((entry) => [entry.name, entry]));

/** What tests and the local stack cannot do without; the others are used where they happen to be. */
export const REQUIRED_PARTS: readonly PartName[] = [
  'nats-server',
  'etcd',
  'registry',
  'kube-apiserver',
  'helm',
  'redis-server',
  'skopeo',
];

/** What only stories need. */
export const STORY_PARTS: readonly PartName[] = ['oci-conformance'];

/** What a real node needs besides; only obtained where one can be. Those of one module stand together: they share what is compiled. */
export const NODE_PARTS: readonly PartName[] = [
  'runc',
  'cni-plugins',
  'containerd',
  'containerd-shim-runc-v2',
  'ctr',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
];

/** The entry of a part. */
export function partEntry(name: PartName): PartEntry {
  const entry = PARTS.get(name);
  if (!entry) throw new Error(`unknown part ${name}`);
  return entry;
}

/** `KUIK_PART_NATS_SERVER` */
export function overrideVariable(name: PartName): string {
  return `KUIK_PART_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** The first `1.2.3` (or `1.2`) in a program's version output. */
export function readVersion(output: string): Version | undefined {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(output);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : undefined;
}
