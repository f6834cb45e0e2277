/**
 * Where uploads are that were begun, so that another process may go on with them: a session's URL, by blob and repository. A wrong or an
 * outdated one costs a request: what is in a session is hashed by the registry before it becomes a blob.
 */
export interface UploadSessions {
  find(digest: string, repository: string): Promise<string | undefined>;
  /** Never throws, waits for nobody. */
  began(digest: string, repository: string, location: string): void;
}
