import { parseDuration } from '@kuik/contracts';
import { parseSettings } from '@kuik/runtime';
import { z } from 'zod';
import { parseImagePattern } from '../image-match.ts';

/** What a plugin is spoken to with; older ones of kubelet have the same shape. */
export const PROTOCOLS = [
  'credentialprovider.kubelet.k8s.io/v1',
  'credentialprovider.kubelet.k8s.io/v1beta1',
  'credentialprovider.kubelet.k8s.io/v1alpha1',
] as const;

const goDuration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not a duration; write 12h, 30m or 0s` });
  return z.NEVER;
});

const provider = z.strictObject({
  name: z
    .string()
    .regex(/^(?!\.{1,2}$)[^/\\\s]+$/, 'must be the name of a program in the folder of plugins, without a path'),
  matchImages: z
    .array(z.string().refine((text) => parseImagePattern(text) !== undefined, 'names no host'))
    .min(1, 'must name at least one pattern'),
  defaultCacheDuration: goDuration,
  apiVersion: z.enum(PROTOCOLS),
  args: z.array(z.string()).default([]),
  env: z.array(z.strictObject({ name: z.string().min(1), value: z.string() })).default([]),
});
export type ExecProviderConfig = z.output<typeof provider>;

const execConfig = z.strictObject({
  apiVersion: z.enum(['kubelet.config.k8s.io/v1', 'kubelet.config.k8s.io/v1beta1', 'kubelet.config.k8s.io/v1alpha1']),
  kind: z.literal('CredentialProviderConfig'),
  providers: z
    .array(provider)
    .min(1, 'must name at least one provider')
    .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'names a provider twice'),
});

/**
 * Reads a kubelet's CredentialProviderConfig (the file of `--image-credential-provider-config`). Throws ConfigError with every mistake;
 * `tokenAttributes` is one: a token of the pod's service account is not to be had here.
 * Source: kubernetes.io, Kubelet CredentialProvider (v1).
 */
export function parseExecConfig(text: string, where: string): readonly ExecProviderConfig[] {
  return parseSettings(execConfig, text, where).providers;
}
