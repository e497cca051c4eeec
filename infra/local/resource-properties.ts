import type { Resource, TemplateReader } from './template.ts';

/** Every resource of a type, read by `plan`, which must have looked at all of its properties. */
export function readAll<Plan>(
  reader: TemplateReader,
  type: string,
  ignored: readonly string[],
  plan: (properties: ResourceProperties, resource: Resource) => Plan,
): Plan[] {
  return reader.resources
    .filter((resource) => resource.type === type)
    .map((resource) => {
      const properties = new ResourceProperties(reader, resource, ignored);
      const planned = plan(properties, resource);
      properties.close();
      return planned;
    });
}

/**
 * The properties of one resource, read by name and kind.
 *
 * Every property must be either read here or named as one that makes no difference on this
 * machine: `close` throws for any other, so that nothing a template asks for is passed over.
 */
export class ResourceProperties {
  private readonly resource: Resource;
  private readonly values: Readonly<Record<string, unknown>>;
  private readonly open: Set<string>;

  constructor(reader: TemplateReader, resource: Resource, ignored: readonly string[]) {
    this.resource = resource;
    const kept = Object.entries(resource.properties).filter(([name]) => !ignored.includes(name));
    this.values = Object.fromEntries(
      kept.map(([name, value]) => [name, reader.resolve(resource.stack, value)]),
    );
    this.open = new Set(Object.keys(this.values));
  }

  /** Text, number or flag as text; undefined when the template does not give it. */
  optionalText(name: string): string | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (typeof value === 'object') throw this.wrong(name, 'text');
    return String(value);
  }

  text(name: string): string {
    const value = this.optionalText(name);
    if (value === undefined) throw this.wrong(name, 'text');
    return value;
  }

  optionalNumber(name: string): number | undefined {
    const value = this.optionalText(name);
    if (value === undefined) return undefined;
    if (!/^\d+$/.test(value)) throw this.wrong(name, 'a whole number');
    return Number(value);
  }

  number(name: string): number {
    const value = this.optionalNumber(name);
    if (value === undefined) throw this.wrong(name, 'a whole number');
    return value;
  }

  flag(name: string): boolean {
    return this.optionalText(name) === 'true';
  }

  /** Objects of a list; empty when the template does not give it. */
  objects(name: string): Readonly<Record<string, unknown>>[] {
    const value = this.take(name) ?? [];
    if (!Array.isArray(value)) throw this.wrong(name, 'a list');
    return value.map((each: unknown) => ({ ...Object(each) }));
  }

  texts(name: string): string[] {
    const value = this.take(name) ?? [];
    if (!Array.isArray(value)) throw this.wrong(name, 'a list');
    return value.map(String);
  }

  /** A nested object; empty when the template does not give it. */
  object(name: string): Readonly<Record<string, unknown>> {
    const value = this.take(name) ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) throw this.wrong(name, 'an object');
    return { ...value };
  }

  /** Throws when a property was neither read nor ignored. */
  close(): void {
    const [name] = this.open;
    if (name !== undefined)
      throw new Error(
        `${this.place()} has the property ${name}, which the local runner does not know`,
      );
  }

  /** An error about one property, for what only the caller can judge. */
  wrong(name: string, expected: string): Error {
    return new Error(`${this.place()} has no property ${name} that is ${expected}`);
  }

  /** The error of whoever reads a part of this resource, with its place before it. */
  at(error: unknown): Error {
    const reason = error instanceof Error ? error.message : String(error);
    return new Error(`${this.place()}: ${reason}`, { cause: error });
  }

  private take(name: string): unknown {
    this.open.delete(name);
    return this.values[name];
  }

  private place(): string {
    const { stack, logicalId, type } = this.resource;
    return `${logicalId} (${type}) of stack ${stack.name}`;
  }
}
