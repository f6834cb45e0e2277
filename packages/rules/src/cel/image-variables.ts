import { GRAMMAR } from '@kuik/image';
import { REASONS, type Reason } from '../decision.ts';
import type { RulesFile } from '../rules-file.ts';
import { celString, column, type Variable } from './cel-text.ts';
import { patternVariables } from './pattern-variables.ts';
import { proxyVariables, referenceVariables } from './reference-variables.ts';

const LOOPBACK = celString(`^${GRAMMAR.loopbackHost}$`);

/**
 * The column `decision` of each image, reason and rule in one text (`Ignored ignoreImages[2]`): by its text and pull policy alone, by the
 * steps of `decideImage` and in their order; where it would be rewritten, by what `observed` says of the pod.
 */
export function imageVariables(file: RulesFile, prefixes: readonly string[]): Variable[] {
  const { ignoreImages, acceptImages, ignorePullPolicyAlways } = file;
  const because = (condition: string, reason: Reason, rule: string): string => `${condition} ? "${reason} ${rule}" : `;
  const accepted =
    acceptImages.length === 0
      ? `"${REASONS.rewritten} default"`
      : `"${REASONS.rewritten} acceptImages[" + string(variables.acceptImages[i]) + "]"`;
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
      'decision',
      [
        because('variables.proxied[i] && variables.readable[i]', REASONS.alreadyRewritten, 'proxyPrefixes'),
        because('variables.proxied[i]', REASONS.proxyImageUnreadable, 'proxyPrefixes'),
        because('!variables.legal[i]', REASONS.notAReference, 'grammar'),
        because('variables.pulled[i] == "Never"', REASONS.pullPolicyNever, 'imagePullPolicy'),
        ignorePullPolicyAlways
          ? because('variables.always[i]', REASONS.pullPolicyAlways, 'ignorePullPolicyAlways')
          : '',
        ignoreImages.length > 0
          ? `variables.ignoreImages[i] >= 0 ? "${REASONS.ignored} ignoreImages[" + string(variables.ignoreImages[i]) + "]" : `
          : '',
        acceptImages.length > 0 ? because('variables.acceptImages[i] < 0', REASONS.notAccepted, 'acceptImages') : '',
        because(`variables.host[i].matches(${LOOPBACK})`, REASONS.localRegistry, 'localhost'),
        because('!variables.encodable[i]', REASONS.notEncodable, 'encoding'),
        `variables.observed != "" ? variables.observed : ${accepted}`,
      ].join(''),
    ),
  ];
}
