import path from 'node:path';
import { coversRepository, type ImagePattern, parseImagePattern } from '../image-match.ts';
import type { ExecProviderConfig } from './exec-config.ts';
import { cacheKeys, loginsFor, type PatternLogin, readPluginAnswer } from './plugin-answer.ts';
import type { LoginProvider, ProvidedLogin } from './port.ts';
import { RenewedLogins } from './renewed-logins.ts';
import { type PluginCall, runPlugin } from './run-plugin.ts';

export interface ExecOptions {
  readonly folder: string;
  /** How long a program may run, and how long a question may wait for its turn. */
  readonly timeoutMs: number;
  readonly now: () => number;
  readonly run?: (call: PluginCall) => Promise<string>;
}

/** Programs of one plugin at once: many images that are new share the memory of this process. */
const AT_ONCE = 4;
/** Those for one registry: one that hangs is not to hold up the others. */
const OF_REGISTRY = 2;

/**
 * One plugin of kubelet's credential provider protocol: asked on standard input, answers on standard output, no secret in any argument.
 * A few of its programs run at once, fewer for one registry; an image that waits gets what another one's answer says of its registry, or of all.
 */
export class ExecProvider implements LoginProvider {
  readonly name: string;
  readonly #config: ExecProviderConfig;
  readonly #options: ExecOptions;
  readonly #patterns: readonly ImagePattern[];
  readonly #logins: RenewedLogins<PatternLogin>;

  constructor(config: ExecProviderConfig, options: ExecOptions) {
    this.name = `exec ${config.name}`;
    this.#config = config;
    this.#options = options;
    this.#patterns = config.matchImages.flatMap((text) => parseImagePattern(text) ?? []);
    this.#logins = new RenewedLogins(options.now, {
      atOnce: AT_ONCE,
      ofGroup: OF_REGISTRY,
      waitMs: options.timeoutMs,
    });
  }

  covers(host: string, repository: string): boolean {
    return this.#patterns.some((pattern) => coversRepository(pattern, host, repository));
  }

  async logins(host: string, repository: string, options: { renew?: boolean }): Promise<readonly ProvidedLogin[]> {
    const { Image, Registry, Global } = cacheKeys(host, repository);
    const ask = () => this.#ask(host, repository);
    const known = await this.#logins.get([Image, Registry, Global], ask, { ...options, group: Registry });
    return loginsFor(known, host, repository);
  }

  async #ask(host: string, repository: string) {
    const { name, args, env, apiVersion, defaultCacheDuration } = this.#config;
    const { folder, timeoutMs, now, run = runPlugin } = this.#options;
    const output = await run({
      program: path.join(folder, name),
      args,
      env: Object.fromEntries(env.map((variable) => [variable.name, variable.value])),
      input: JSON.stringify({ kind: 'CredentialProviderRequest', apiVersion, image: `${host}/${repository}` }),
      timeoutMs,
    });
    return readPluginAnswer(output, {
      host,
      repository,
      apiVersion,
      defaultCacheMs: defaultCacheDuration,
      nowMs: now(),
    });
  }
}
