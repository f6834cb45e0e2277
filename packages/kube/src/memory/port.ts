import type { KubeClient, KubeErrorCode, KubeObject, ObjectName, Resource, TokenReviewResult } from '../port.ts';

/** A call that was made to the twin. */
export interface MemoryCall {
  verb: 'get' | 'list' | 'watch' | 'create' | 'apply' | 'patch' | 'delete' | 'tokenreview' | 'raw';
  /** Plural. */
  resource: string;
  name: string;
  namespace?: string;
  fieldManager?: string;
}

/** The API server's twin: a KubeClient over objects in memory, and what a test does behind its back. */
export interface MemoryKube extends KubeClient {
  /** Creates or replaces an object whole (status included), as somebody else; returns it as stored. */
  put<T extends KubeObject>(
    resource: Resource,
    object: Omit<T, 'metadata'> & { metadata: Partial<KubeObject['metadata']> & { name: string } },
  ): T;
  /** What is stored, by name; a copy. */
  objects<T extends KubeObject>(resource: Resource): T[];
  /** What is stored under one name; a copy. */
  find<T extends KubeObject>(resource: Resource, name: ObjectName): T | undefined;
  /** Removes at once, whatever its finalizers say. */
  drop(resource: Resource, name: ObjectName): void;
  /** What `tokenReview` answers for a token. */
  setToken(token: string, result: TokenReviewResult): void;
  /** Makes matching calls fail: the next `times` (default 1) of them, before they do anything. */
  failNext(code: KubeErrorCode, match?: { verb?: MemoryCall['verb']; resource?: Resource; times?: number }): void;
  /** Ends every open watch: cleanly, or with an error. */
  endWatches(code?: KubeErrorCode): void;
  /** Forgets all past versions: watches that start from one get 'gone'. */
  forgetHistory(): void;
  readonly calls: readonly MemoryCall[];
}

export interface MemoryKubeOptions {
  /** For creation and deletion times. */
  now?: () => Date;
}
