/** A platform as in an index's descriptor (OCI image spec, image-index.md). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

const ARCHITECTURES: Record<string, [string, string?]> = {
  i386: ['386'],
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
};
/** Variants that mean the same as none (containerd/platforms, normalizeArch). */
const IMPLIED_VARIANT: Record<string, string> = { arm64: 'v8', amd64: 'v1' };

/** Parses `os/arch[/variant]`, or a bare `arch` (then linux), normalised; undefined when it is neither. */
export function parsePlatform(text: string): Platform | undefined {
  const parts = text.toLowerCase().split('/');
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9._-]+$/.test(part))) return undefined;
  const [os, architecture, variant] = parts.length === 1 ? ['linux', parts[0]!] : parts;
  return normalizePlatform({ os: os!, architecture: architecture!, ...(variant === undefined ? {} : { variant }) });
}

/** Canonical spelling: `aarch64` is `arm64`, `arm64/v8` is `arm64`, `armhf` is `arm/v7`, a bare `arm` is `arm/v7`. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os === 'macos' ? 'darwin' : platform.os;
  const [architecture, implied] = ARCHITECTURES[platform.architecture] ?? [platform.architecture];
  let variant = platform.variant === '' ? undefined : (platform.variant ?? implied);
  if (architecture === 'arm')
    variant = variant === undefined ? 'v7' : variant.startsWith('v') ? variant : `v${variant}`;
  if (variant === IMPLIED_VARIANT[architecture]) variant = undefined;
  return variant === undefined ? { os, architecture } : { os, architecture, variant };
}

/** `linux/amd64`, `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = normalizePlatform(platform);
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** Whether two platforms are the same after normalisation. */
export function samePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(a) === formatPlatform(b);
}
