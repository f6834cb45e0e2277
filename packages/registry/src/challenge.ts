/** What a registry asks for in `WWW-Authenticate` (RFC 9110 §11.6.1; distribution-spec token authentication). */
export type Challenge =
  { scheme: 'bearer'; realm: string; service?: string; scope?: string } | { scheme: 'basic'; realm?: string };

/**
 * The challenges of one or several `WWW-Authenticate` values, in their order; schemes that nobody here speaks are left out.
 * Keys come in any order and any case, values quoted (commas kept) or bare.
 */
export function parseChallenges(values: string | readonly string[] | undefined): Challenge[] {
  const list = values === undefined ? [] : typeof values === 'string' ? [values] : values;
  return list.flatMap((value) => split(value).flatMap(toChallenge));
}

/** The one to answer: Bearer before Basic, as every client does. */
export function preferredChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  return challenges.find((challenge) => challenge.scheme === 'bearer') ?? challenges[0];
}

interface RawChallenge {
  scheme: string;
  parameters: Map<string, string>;
}

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const PARAMETER = /\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y;

function split(value: string): RawChallenge[] {
  const found: RawChallenge[] = [];
  let at = 0;
  while (at < value.length) {
    if (/[\s,]/.test(value[at]!)) {
      at += 1;
      continue;
    }
    TOKEN.lastIndex = at;
    const word = TOKEN.exec(value)?.[0];
    if (word === undefined) return found;
    at += word.length;
    PARAMETER.lastIndex = at;
    const parameter = PARAMETER.exec(value);
    const current = found.at(-1);
    if (parameter !== null && current !== undefined) {
      const text = parameter[1] === undefined ? parameter[2]! : parameter[1].replace(/\\(.)/g, '$1');
      const key = word.toLowerCase();
      if (!current.parameters.has(key)) current.parameters.set(key, text);
      at += parameter[0].length;
    } else if (parameter === null) {
      found.push({ scheme: word.toLowerCase(), parameters: new Map() });
    } else {
      return found;
    }
  }
  return found;
}

function toChallenge({ scheme, parameters }: RawChallenge): Challenge[] {
  const realm = parameters.get('realm');
  if (scheme === 'basic') return [realm === undefined ? { scheme } : { scheme, realm }];
  if (scheme !== 'bearer' || realm === undefined || realm === '') return [];
  const service = parameters.get('service');
  const scope = parameters.get('scope');
  return [
    {
      scheme,
      realm,
      ...(service === undefined ? {} : { service }),
      ...(scope === undefined ? {} : { scope }),
    },
  ];
}
