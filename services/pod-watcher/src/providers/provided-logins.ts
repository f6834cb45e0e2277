import { inTime } from '@kuik/runtime';
import type { Candidate, Candidates, LoginMistake } from '../candidates.ts';
import type { LoginProviders } from '../choose-credential.ts';
import type { LoginProvider } from './port.ts';

export interface ProvidedLoginsOptions {
  readonly providers: readonly LoginProvider[];
  /** How long one is waited for, ms: a pull waits, too. What comes later is there for the next one. */
  readonly patienceMs: number;
  readonly count: (provider: string, result: 'given' | 'none' | 'failed') => void;
}

/** Asks every provider that may have a login, in their order. */
export class ProvidedLogins implements LoginProviders {
  readonly #options: ProvidedLoginsOptions;

  constructor(options: ProvidedLoginsOptions) {
    this.#options = options;
  }

  covers(host: string, repository: string): boolean {
    return this.#options.providers.some((provider) => provider.covers(host, repository));
  }

  async logins(host: string, repository: string, options: { renew?: boolean }): Promise<Candidates> {
    const { providers, patienceMs, count } = this.#options;
    const asked = providers.filter((provider) => provider.covers(host, repository));
    const answers = await Promise.all(
      asked.map(async (provider): Promise<readonly Candidate[] | LoginMistake> => {
        try {
          const answer = await inTime(patienceMs, provider.logins(host, repository, options));
          if (answer.late) throw new Error(`no answer within ${patienceMs} ms`);
          const logins = answer.value;
          count(provider.name, logins.length === 0 ? 'none' : 'given');
          return logins.map((login) => ({ label: provider.name, of: 'provider', ...login }));
        } catch (error) {
          count(provider.name, 'failed');
          return { of: 'provider', label: provider.name, mistake: `failed: ${reasonOf(error)}` };
        }
      }),
    );
    return {
      candidates: answers.flatMap((answer) => ('mistake' in answer ? [] : answer)),
      mistakes: answers.flatMap((answer) => ('mistake' in answer ? [answer] : [])),
    };
  }
}

const REASON_MAX = 300;

/** One line without what may be a secret: some libraries quote answers. */
function reasonOf(error: unknown): string {
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
  const line = message.split('\n', 1)[0]!.replace(/[A-Za-z0-9+/=_-]{40,}/g, '[long text]');
  return `${name === 'Error' ? '' : `${name}: `}${line}`.slice(0, REASON_MAX);
}
