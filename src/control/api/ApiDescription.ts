import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifySchema } from 'fastify';
import { z } from 'zod';
import { version } from '../../config/version.js';

/** What a route takes and gives, in the schemas that read it. */
export interface RouteDescription {
  readonly summary: string;
  /** What it is about: a heading of the document. */
  readonly tag: 'calls' | 'recordings' | 'audio' | 'events' | 'access' | 'system';
  /** Parts of the path, each with what it is. */
  readonly params?: Readonly<Record<string, string>>;
  readonly querystring?: z.ZodType;
  readonly body?: z.ZodType;
  /** By status; several where it may come in one of several media types. */
  readonly answers?: Readonly<Record<number, Answer | readonly Answer[]>>;
  /** Anybody may ask. */
  readonly isOpen?: boolean;
}

/** JSON of this shape; or a text: what it is, of something that isn't JSON, with its media type before a colon; none: there is no body. */
export type Answer = z.ZodType | string;

/** As far as it is changed here. */
interface Operation {
  readonly requestBody?: { required?: boolean };
  /** A mark for {@link leaveBodiesOut}: the route goes without the body that it takes. */
  'x-optional-body'?: boolean;
}

const fault = z.object({ code: z.string(), message: z.string(), remedy: z.string().nullable() });

/**
 * Has `/openapi.json` say what the routes are that are added from now on. It describes them and does nothing else: what a request holds is
 * read where it is used, by the same schemas, with an error that says what to send.
 */
export function describeApi(app: FastifyInstance): void {
  app.setValidatorCompiler(() => (value: unknown) => ({ value }));
  app.setSerializerCompiler(() => (value: unknown) => JSON.stringify(value));
  void app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'reelay',
        version,
        description: 'Recordings of phone calls, while they are up and after.',
      },
      components: {
        securitySchemes: {
          key: {
            type: 'http',
            scheme: 'bearer',
            description: 'A key of control.adminKeys, or of an account.',
          },
          session: {
            type: 'apiKey',
            in: 'cookie',
            name: 'reelay_session',
            description: 'POST /v1/session gives it.',
          },
        },
      },
      security: [{ key: [] }, { session: [] }],
    },
    transformObject: (document) => {
      if ('openapiObject' in document) leaveBodiesOut(document.openapiObject);
      return 'openapiObject' in document ? document.openapiObject : document.swaggerObject;
    },
  });
}

/** The description as Fastify and the document take it. */
export function described(route: RouteDescription): { schema: FastifySchema } {
  const { summary, tag, params = {}, querystring, body, answers = {}, isOpen = false } = route;
  const answered = Object.entries(answers).map(
    ([status, each]) => [status, answerOf([each].flat())] as const,
  );
  const schema: FastifySchema & Record<string, unknown> = {
    summary,
    tags: [tag],
    ...(isOpen ? { security: [] } : {}),
    ...(Object.keys(params).length === 0 ? {} : { params: paramsOf(params) }),
    ...(querystring === undefined ? {} : { querystring: jsonSchema(querystring) }),
    ...(body === undefined ? {} : bodyOf(body)),
    response: {
      ...Object.fromEntries(answered),
      default: { description: 'What is wrong.', ...jsonSchema(fault) },
    },
  };
  return { schema };
}

/** One that may be left out may be null, too. */
function bodyOf(body: z.ZodType): object {
  const isOptional = body.safeParse(undefined).success;
  return { body: jsonSchema(isOptional ? z.nullable(body) : body), 'x-optional-body': isOptional };
}

/** The document's maker takes every body for one that has to be sent. */
function leaveBodiesOut({ paths = {} }: { readonly paths?: object }): void {
  for (const path of Object.values(paths) as Record<string, Operation>[])
    for (const operation of Object.values(path)) {
      if (operation.requestBody !== undefined)
        operation.requestBody.required = operation['x-optional-body'] !== true;
      delete operation['x-optional-body'];
    }
}

function answerOf(answers: readonly Answer[]): object {
  const content: Record<string, { readonly schema: object }> = {};
  const descriptions: string[] = [];
  for (const answer of answers) {
    if (typeof answer !== 'string') content['application/json'] = { schema: jsonSchema(answer) };
    const said = typeof answer === 'string' ? answer : 'JSON';
    const [, type, description = said] = /^([\w.+*-]+\/[\w.+*-]+): (.*)$/.exec(said) ?? [];
    if (type !== undefined) content[type] = { schema: { type: 'string', format: 'binary' } };
    descriptions.push(description);
  }
  const description = descriptions.join('; ');
  return Object.keys(content).length === 0 ? { description, type: 'null' } : { description, content };
}

function paramsOf(params: Readonly<Record<string, string>>): object {
  const properties = Object.entries(params).map(([name, description]) => [
    name,
    { type: 'string', description },
  ]);
  return {
    type: 'object',
    properties: Object.fromEntries(properties) as object,
    required: Object.keys(params),
  };
}

/** What a request may hold, or an answer holds, before it is read. */
function jsonSchema(schema: z.ZodType): object {
  const made = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema: part }) => {
      // What is read from text is written as what it is read as.
      const { type, coerce } = zodSchema._zod.def as { readonly type: string; readonly coerce?: boolean };
      if (type === 'number' && coerce === true) part.type = 'integer';
    },
  });
  // The document says once which dialect it is in.
  delete made.$schema;
  return made;
}
