/** The environment for a program of somebody else: that of this process without our own settings, and what is given. */
export function childEnvironment(given: Readonly<Record<string, string>>): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('KUIK_'));
  return { ...Object.fromEntries(inherited), ...given };
}
