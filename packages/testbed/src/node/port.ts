import type { MadeImage } from '../images/image.ts';
import type { PartProcess } from '../port.ts';

/** A node whose pods really start: kubelet, containerd and runc, with controller manager and scheduler. One per machine. */
export interface RealNode {
  readonly name: string;
  /** By which pods reach this machine. */
  readonly address: string;
  readonly kubelet: PartProcess;
  readonly containerd: PartProcess;
  readonly scheduler: PartProcess;
  readonly controllerManager: PartProcess;
  /** Runs containerd's own tool on what pods use and returns what it printed: `ctr('images', 'list')`. */
  ctr(...args: readonly string[]): Promise<string>;
  /** Puts an image onto the node under this name, as if a pod had brought it. */
  importImage(image: MadeImage, name: string): Promise<void>;
  /** Names of the images that pods brought onto the node. */
  images(): Promise<string[]>;
  /** Removes all of them with their content, as an empty node has it. None may be in use. */
  removeImages(): Promise<void>;
  /** Ends everything and removes what it left on the machine; throws with what could not be removed. Idempotent. */
  stop(): Promise<void>;
}

export interface NodeOptions extends RuntimeSettings {
  /** Default `node-1`, the one that every control plane has: it becomes real. */
  readonly name?: string;
  /** How long another run's node may take to end; default two minutes. */
  readonly waitMs?: number;
  /** Told once when another process (its pid) has the machine's node. */
  readonly onWait?: (pid: number) => void;
}

/** Settings of containerd that decide how it pulls. */
export interface RuntimeSettings {
  /** How long a pull may go without a byte before it is given up. Default five minutes, as containerd's own. */
  readonly pullProgressTimeout?: string;
  /** Bytes of the pieces in which a layer is fetched, three at a time. Default 0: each layer in one request. */
  readonly layerFetchBuffer?: number;
}
