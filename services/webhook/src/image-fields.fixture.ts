/** Part of an OpenAPI v3 schema, as the API server publishes it. */
interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly description?: string;
}

export interface OpenApi {
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

const REF = '#/components/schemas/';
/** What a field says of itself when it names something that a kubelet pulls, whatever it is called. */
const PULLED = /\b(?:image or artifact|artifact|oci)\b/i;

/**
 * Every field below PodSpec that has to do with images, by its name or by its description, as `containers[].image`. Source of the
 * document: `/openapi/v3/api/v1`.
 */
export function imageFields({ components: { schemas } }: OpenApi): string[] {
  const found: string[] = [];
  const walk = (schema: Schema, at: string, inside: readonly string[]): void => {
    const name = (schema.$ref ?? schema.allOf?.find(({ $ref }) => $ref !== undefined)?.$ref)?.slice(REF.length);
    if (name !== undefined && inside.includes(name)) return;
    const target = name === undefined ? schema : schemas[name]!;
    const within = name === undefined ? inside : [...inside, name];
    if (target.items !== undefined) walk(target.items, `${at}[]`, within);
    if (typeof target.additionalProperties === 'object') walk(target.additionalProperties, `${at}{}`, within);
    for (const [key, property] of Object.entries(target.properties ?? {})) {
      const path = at === '' ? key : `${at}.${key}`;
      if (/image/i.test(key) || PULLED.test(property.description ?? '')) found.push(path);
      walk(property, path, within);
    }
  };
  walk({ $ref: `${REF}io.k8s.api.core.v1.PodSpec` }, '', []);
  return found.sort();
}
