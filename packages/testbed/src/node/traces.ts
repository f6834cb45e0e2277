import path from 'node:path';
import { tmpdir } from 'node:os';
import { CHECKOUT } from '../process/folders.ts';

/** The node's address, on `lo`: kubelet refuses 127.0.0.1. Pods reach the machine by it. */
export const NODE_ADDRESS = '10.77.0.1';
/** Where pods ask for names. */
export const DNS_PORT = 53;
/** Where pods get theirs from, on a bridge that leads to this machine and no further. */
export const POD_SUBNET = '10.78.0.0/24';
export const BRIDGE = 'kuik-node0';
/** Name of the CNI network. */
export const NETWORK = 'kuik-node';
/** Below every cgroup hierarchy: what pods run in. */
export const CGROUP = 'kuik-node';
/** In the environment of everything that belongs to the node. */
export const MARK = 'KUIK_NODE';
/** Whoever listens on this abstract socket has the machine's one node. The kernel takes it back from a process that dies. */
export const LOCK = '\0kuik-testbed-node';

/** What the kernel refuses is a path of more than 107 bytes; kubelet's own sockets take most of the rest. */
const LONGEST = 60;

/** Everything that the node keeps: images, containers, volumes, sockets. Not among the testbed's data: there are mounts below it. */
export function nodeFolder(checkout = CHECKOUT): string {
  const folder = path.join(checkout, '.kuik', 'node');
  return folder.length <= LONGEST ? folder : path.join(tmpdir(), 'kuik-node');
}

/** Settings of the kernel that kubelet and the bridge change for the whole machine: put back afterwards. */
export const KERNEL_SETTINGS: readonly string[] = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
  'net/ipv4/ip_forward',
];

/** What kubelet, containerd and CNI make at fixed places: removed afterwards where it was not there before. */
export const FOLDERS_ELSEWHERE: readonly string[] = [
  '/run/containerd',
  '/run/mount',
  '/var/lib/cni',
  '/var/lib/kubelet',
  '/var/log/containers',
];

/** Where containerd's shims listen, and where CNI remembers what it gave out: others may have theirs there, too. */
export const SHIM_SOCKETS = '/run/containerd/s';
export const CNI_RESULTS = '/var/lib/cni/results';
export const CONTAINER_LOGS = '/var/log/containers';
