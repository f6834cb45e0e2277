import { canonicalHost } from '@kuik/image';

/** A pattern of a docker config or of a credential provider's `matchImages`, read once. */
export interface ImagePattern {
  /** `host[:port][/path]` without what does not count: specific ones sort after general ones, as kubelet sorts them. */
  readonly key: string;
  readonly labels: readonly string[];
  readonly port: string;
  /** Empty, or begins with a slash. */
  readonly path: string;
}

/** Longer than any host name with every letter written as a class; whatever is beyond is no pattern. */
const HOST_MAX = 2_048;

/**
 * Reads `[scheme://]host[:port][/path]` as kubelet does: the scheme does not count, nor does an API version that begins the path (`/v1/`,
 * `/v2/`); Docker Hub's spellings are one. Undefined when it names no host.
 */
export function parseImagePattern(text: string): ImagePattern | undefined {
  const bare = text.replace(/^https?:\/\//, '');
  const slash = bare.indexOf('/');
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase();
  if (host === '' || host.length > HOST_MAX) return undefined;
  const written = slash < 0 ? '' : bare.slice(slash);
  const unversioned = /^\/v[12]\//.test(written) ? written.slice(3) : written;
  const path = unversioned === '/' ? '' : unversioned;
  const known = canonicalHost(host) ?? host;
  const { name, port } = splitPort(known);
  return { key: `${known}${path}`, labels: name.split('.'), port, path };
}

/**
 * Whether a pattern covers a repository (canonical host): as many labels, each by glob (`*`, `?`, `[a-z]`; a star stays within its label), the
 * same port, and the path as a plain prefix of the text: `host/tenant-a` covers `host/tenant-ab/x`, too. That is kubelet's rule
 * (pkg/credentialprovider/keyring.go, URLsMatch), kept so that what a node may pull we may pull, no more and no less.
 */
export function coversRepository(pattern: ImagePattern, host: string, repository: string): boolean {
  const { name, port } = splitPort(host);
  const labels = name.split('.');
  return (
    pattern.port === port &&
    pattern.labels.length === labels.length &&
    `/${repository}`.startsWith(pattern.path) &&
    pattern.labels.every((glob, index) => matchesGlob(glob, labels[index]!))
  );
}

/** Most specific first: the texts of the keys from last to first, as kubelet's keyring has them. */
export function bySpecificity(a: { readonly key: string }, b: { readonly key: string }): number {
  if (a.key === b.key) return 0;
  return a.key < b.key ? 1 : -1;
}

function splitPort(host: string): { name: string; port: string } {
  const colon = host.lastIndexOf(':');
  return colon < 0 ? { name: host, port: '' } : { name: host.slice(0, colon), port: host.slice(colon + 1) };
}

/** One step of a glob: any text, or one character of which this is asked. */
type Step = 'any' | ((character: string) => boolean);

/** Go's path.Match on one label; a malformed glob matches nothing. Never slower than the product of the lengths. */
export function matchesGlob(glob: string, text: string): boolean {
  if (!/[*?[\\]/.test(glob)) return glob === text;
  const steps = stepsOf(glob);
  if (steps === undefined) return false;
  let at = 0;
  let step = 0;
  let star: { step: number; at: number } | undefined;
  while (at < text.length) {
    const current = steps[step];
    if (current === 'any') {
      star = { step, at };
      step += 1;
    } else if (current?.(text[at]!) === true) {
      step += 1;
      at += 1;
    } else if (star === undefined) {
      return false;
    } else {
      star.at += 1;
      at = star.at;
      step = star.step + 1;
    }
  }
  return steps.slice(step).every((rest) => rest === 'any');
}

function stepsOf(glob: string): Step[] | undefined {
  const steps: Step[] = [];
  for (let at = 0; at < glob.length; at += 1) {
    const character = glob[at]!;
    if (character === '*') {
      if (steps.at(-1) !== 'any') steps.push('any');
    } else if (character === '?') {
      steps.push(() => true);
    } else if (character === '[') {
      const found = /^\[(\^?)((?:\\.|[^\]\\])+)\]/s.exec(glob.slice(at));
      const ranges = found === null ? undefined : rangesOf(found[2]!);
      if (ranges === undefined) return undefined;
      const wanted = found![1] === '';
      steps.push((one) => ranges.some(([from, to]) => from <= one && one <= to) === wanted);
      at += found![0].length - 1;
    } else {
      if (character === '\\') at += 1;
      const literal = glob[at];
      if (literal === undefined) return undefined;
      steps.push((one) => one === literal);
    }
  }
  return steps;
}

function rangesOf(text: string): [string, string][] | undefined {
  const characters = [...text.matchAll(/\\(.)|(.)/gs)].map(([, escaped, plain]) => ({
    value: escaped ?? plain!,
    dash: plain === '-',
  }));
  const ranges: [string, string][] = [];
  for (let at = 0; at < characters.length; at += 1) {
    const from = characters[at]!;
    if (from.dash) return undefined;
    if (characters[at + 1]?.dash !== true) {
      ranges.push([from.value, from.value]);
      continue;
    }
    const to = characters[at + 2];
    if (to === undefined || to.dash) return undefined;
    ranges.push([from.value, to.value]);
    at += 2;
  }
  return ranges;
}
