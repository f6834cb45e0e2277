import { GRAMMAR } from '@kuik/image';
import { REASONS } from '../decision.ts';
import type { RulesFile } from '../rules-file.ts';
import { celString, column, type Variable } from './cel-text.ts';
import { patternVariables } from './pattern-variables.ts';
import { proxyVariables, referenceVariables } from './reference-variables.ts';

const LOOPBACK = celString(`^${GRAMMAR.loopbackHost}$`);

/** The column `reason` of each image by its text and pull policy alone, by the steps of `decideImage` and in their order. */
export function imageVariables(file: RulesFile, prefixes: readonly string[]): Variable[] {
  const { ignoreImages, acceptImages, ignorePullPolicyAlways } = file;
  const because = (condition: string, reason: string): string => `${condition} ? "${reason}" : `;
  return [
    ...referenceVariables(),
    ...proxyVariables(prefixes),
    column('always', 'variables.pulled[i] == "" ? variables.tag[i] == ":latest" : variables.pulled[i] == "Always"'),
    column('respelled', 'variables.text[i] != variables.canonical[i]'),
    column(
      'judged',
      `!variables.proxied[i] && variables.legal[i] && variables.pulled[i] != "Never"${ignorePullPolicyAlways ? ' && !variables.always[i]' : ''}`,
    ),
    ...patternVariables('ignoreImages', ignoreImages),
    ...patternVariables('acceptImages', acceptImages),
    column(
      'reason',
      [
        because('variables.proxied[i] && variables.readable[i]', REASONS.alreadyRewritten),
        because('variables.proxied[i]', REASONS.proxyImageUnreadable),
        because('!variables.legal[i]', REASONS.notAReference),
        because('variables.pulled[i] == "Never"', REASONS.pullPolicyNever),
        ...(ignorePullPolicyAlways ? [because('variables.always[i]', REASONS.pullPolicyAlways)] : []),
        ...(ignoreImages.length > 0 ? [because('variables.ignoreImages[i] >= 0', REASONS.ignored)] : []),
        ...(acceptImages.length > 0 ? [because('variables.acceptImages[i] < 0', REASONS.notAccepted)] : []),
        because(`variables.host[i].matches(${LOOPBACK})`, REASONS.localRegistry),
        because('!variables.encodable[i]', REASONS.notEncodable),
        `"${REASONS.rewritten}"`,
      ].join(''),
    ),
  ];
}
