import { rulesFile } from '../rules-file.ts';
import { celMistakes } from './compile-policy.ts';

/** The rules file for those who go by CEL alone: what CEL cannot say is a mistake of the file like any other. */
export const celRulesFile = rulesFile.superRefine((file, context) => {
  for (const { path, reason } of celMistakes(file)) {
    context.addIssue({ code: 'custom', path: [...path], message: `cannot be a policy in CEL: ${reason}` });
  }
});
