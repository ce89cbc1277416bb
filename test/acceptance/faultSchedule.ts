import type { Fault, FaultSchedule } from './FaultProxy.js';
import type { RequestKind, S3Request } from './S3Request.js';

/** How one account's store behaves for a while. */
export interface Weather {
  /** Share of requests that meet a fault. */
  readonly share: number;
  /** Faults are drawn from these. */
  readonly menu: readonly (keyof typeof makers)[];
}

const mutating = new Set<RequestKind>(['put', 'create', 'part', 'complete', 'abort', 'delete']);

/** By name; each makes a fault for one request, or null where it doesn't fit that kind. */
const makers = {
  slow_down: (_request: S3Request, random: () => number) =>
    refusal(503, 'SlowDown', random() < 0.5 ? 1 + Math.floor(random() * 3) : undefined),
  too_many: (_request: S3Request, random: () => number) =>
    refusal(429, 'TooManyRequests', random() < 0.5 ? 1 : undefined),
  internal: () => refusal(500, 'InternalError'),
  forbidden: () => refusal(403, 'AccessDenied'),
  reset: () => ({ type: 'reset' }),
  cut: ({ kind }: S3Request) => (kind === 'put' || kind === 'part' ? { type: 'cut' } : { type: 'reset' }),
  reset_applied: ({ kind }: S3Request) => (mutating.has(kind) ? { type: 'reset_applied' } : null),
  answer_applied: ({ kind }: S3Request) =>
    mutating.has(kind) ? { type: 'answer_applied', status: 500, code: 'InternalError' } : null,
  stall: () => ({ type: 'stall' }),
  stall_applied: ({ kind }: S3Request) => (mutating.has(kind) ? { type: 'stall_applied' } : null),
  trickle: (_request: S3Request, random: () => number) => ({ type: 'trickle', ms: 50 + random() * 400 }),
  error_body: ({ kind }: S3Request, random: () => number) =>
    kind === 'complete' ? { type: 'error_body', applied: random() < 0.5 } : null,
} as const satisfies Record<string, (request: S3Request, random: () => number) => Fault | null>;

export const faultNames = Object.keys(makers) as readonly (keyof typeof makers)[];

/** These come on top, in whatever weather, as a part of its share: they are what is hardest to get right. */
const [lostAnswers, wrongCompletes] = [0.2, 0.5];

function refusal(status: number, code: string, retryAfter?: number): Fault {
  return { type: 'answer', status, code, retryAfter };
}

/** Weather from a seed: from a breeze to a storm of all faults, or many of one kind. */
export function weatherFrom(random: () => number): Weather {
  const share = random() < 0.2 ? 0.8 : 0.05 + random() * 0.4;
  const count = 1 + Math.floor(random() * faultNames.length);
  const menu = [...faultNames]
    .map((name) => ({ name, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, count)
    .map(({ name }) => name);
  return { share, menu };
}

/** A bucket's faults, drawn request by request. */
export function faultSchedule({ share, menu }: Weather, random: () => number): FaultSchedule {
  return (request) => {
    const makesObject = ['put', 'create', 'complete', 'part'].includes(request.kind);
    if (request.kind === 'complete' && random() < share * wrongCompletes) {
      return { type: 'error_body', applied: random() < 0.5 };
    }
    if (makesObject && random() < share * lostAnswers) return { type: 'reset_applied' };
    if (random() >= share) return null;
    const name = menu[Math.floor(random() * menu.length)];
    return name === undefined ? null : makers[name](request, random);
  };
}
