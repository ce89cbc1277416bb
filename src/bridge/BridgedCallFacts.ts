/** A call that is to be carried into a room, as the process that does so is told of it: plain data. */
export interface BridgedCallFacts {
  /** What the call's socket shows to be known by: good once. */
  readonly ticket: string;
  readonly dialect: 'twilio' | 'jambonz';
  readonly accountId: string;
  readonly callId: string;
  readonly from: string | null;
  readonly to: string | null;
  /** Custom parameters that are texts, without secrets; they become attributes of the participant. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Of audio towards a jambonz, Hz; null: that of its stream. */
  readonly returnSampleRate: number | null;
  /** Its token lets it into this room as this participant, and nowhere else: the account's keys stay with the daemon. */
  readonly server: { readonly url: string; readonly token: string };
  readonly room: string;
  readonly identity: string;
  /** Agent that is asked for when the room is made; null: none by name. */
  readonly agent: string | null;
  /** How long the caller waits for somebody to be there, s; 0: for ever. */
  readonly answerSeconds: number;
  /** How long the caller is kept when the others have left, s. */
  readonly departureSeconds: number;
}

/** Whose call is bridged, as the relay knows it. */
export interface BridgeableCall {
  readonly dialect: 'twilio' | 'jambonz';
  readonly accountId: string;
  readonly callId: string;
  readonly from: string | null;
  readonly to: string | null;
  /** Without secrets. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly returnSampleRate: number | null;
}

/** Attributes that one participant gets of custom parameters, and the longest of them, characters. */
const maxParameters = 32;
const maxParameterCharacters = 512;
/** Longest text that a placeholder is replaced by. */
const maxPartCharacters = 128;
const unsafe = /[^A-Za-z0-9._+@:-]+/g;

/**
 * The name of the room of a call.
 *
 * @param pattern - with placeholders: `{callId}`, `{accountId}`, `{from}`, `{to}`, `{provider}`, else a custom parameter. What stands for
 *   one is made safe; what the call doesn't say is `unknown`
 */
export function roomNameOf(pattern: string, call: BridgeableCall): string {
  const { accountId, callId, from, to, dialect, parameters } = call;
  const known: Readonly<Record<string, unknown>> = {
    ...parameters,
    accountId,
    callId,
    from,
    to,
    provider: dialect,
  };
  return pattern.replace(/\{([^}]*)\}/g, (_whole, name: string) => {
    const value = Object.hasOwn(known, name) ? known[name] : undefined;
    const text = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
    return text.replace(unsafe, '-').slice(0, maxPartCharacters) || 'unknown';
  });
}

/** As whom a call is in its room. Two streams of one call have one identity, so that the later takes the place of the earlier. */
export function identityOf(callId: string): string {
  return `phone-${callId}`;
}

/** Those custom parameters that become attributes. */
export function textParameters(parameters: Readonly<Record<string, unknown>>): Record<string, string> {
  const texts = Object.entries(parameters).flatMap(([name, value]): [string, string][] =>
    typeof value === 'string' && name.length <= 64 ? [[name, value.slice(0, maxParameterCharacters)]] : [],
  );
  return Object.fromEntries(texts.slice(0, maxParameters));
}

/**
 * What a participant's attributes say of its call. The names that begin with `sip.` are those that LiveKit's own SIP service gives a
 * caller, so that an agent which was written for that finds them.
 */
export function attributesOf(call: Omit<BridgedCallFacts, 'server'>): Record<string, string> {
  const { callId, accountId, dialect, from, to, parameters } = call;
  const own = Object.entries(parameters).map(([name, value]) => [`reelay.parameter.${name}`, value] as const);
  return {
    'reelay.callId': callId,
    'reelay.accountId': accountId,
    'reelay.provider': dialect,
    'sip.callID': callId,
    'sip.callStatus': 'active',
    ...(from === null ? {} : { 'sip.phoneNumber': from }),
    ...(to === null ? {} : { 'sip.trunkPhoneNumber': to }),
    ...Object.fromEntries(own),
  };
}
