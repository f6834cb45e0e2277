/** One expectation that did not hold. */
export interface Problem {
  readonly what: string;
  readonly expected: string;
  readonly seen: string;
}

/**
 * One step of a story. `act` does things to the world and returns what it saw; `check` is a function of that alone, so that a test can
 * feed it broken outcomes; `tell` renders it for a person.
 */
export interface Step<W, O> {
  readonly id: string;
  /** A sentence, in the past tense: what held when the step succeeded. */
  readonly title: string;
  act(world: W, progress: (waitingFor: string) => void): Promise<O>;
  check(outcome: O): Problem[];
  tell(outcome: O): string[];
  /** Names of the parts whose logs help when it fails. */
  readonly logs: readonly string[];
  /** Ways to bend a good outcome so that `check` must notice; each returns a broken copy. */
  readonly breakages: readonly { readonly name: string; bend: (outcome: O) => O }[];
}

/** A step with its outcome's type forgotten: stories are lists of these. */
export interface AnyStep<W> {
  readonly id: string;
  readonly title: string;
  readonly logs: readonly string[];
  readonly breakages: readonly string[];
  run(world: W, progress: (waitingFor: string) => void, breakage?: string): Promise<StepResult>;
  /** Acts once, then checks the good outcome and every broken one. */
  prove(world: W): Promise<{ good: Problem[]; broken: { name: string; problems: Problem[] }[] }>;
}

export interface StepResult {
  readonly problems: Problem[];
  readonly lines: string[];
}

/** Seals a step: from here on it is run and proved, not looked into. */
export function step<W, O>(definition: Step<W, O>): AnyStep<W> {
  return {
    id: definition.id,
    title: definition.title,
    logs: definition.logs,
    breakages: definition.breakages.map((breakage) => breakage.name),
    async run(world, progress, breakage) {
      const outcome = await definition.act(world, progress);
      const bent = definition.breakages.find((candidate) => candidate.name === breakage)?.bend(outcome) ?? outcome;
      return { problems: definition.check(bent), lines: definition.tell(outcome) };
    },
    async prove(world) {
      const outcome = await definition.act(world, () => undefined);
      return {
        good: definition.check(outcome),
        broken: definition.breakages.map(({ name, bend }) => ({ name, problems: definition.check(bend(outcome)) })),
      };
    },
  };
}

/** A problem when two values differ. */
export function expectEqual(what: string, expected: unknown, seen: unknown): Problem[] {
  const [e, s] = [render(expected), render(seen)];
  return e === s ? [] : [{ what, expected: e, seen: s }];
}

/** A problem when a condition does not hold. */
export function expectTrue(what: string, holds: boolean, expected: string, seen: string): Problem[] {
  return holds ? [] : [{ what, expected, seen }];
}

function render(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined');
}
