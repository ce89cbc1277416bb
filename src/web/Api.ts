import type {
  Hold,
  LiveCall,
  Manifest,
  RecordingPage,
  Session,
  SystemDocument,
  WaveformDocument,
} from './documents.js';

/** An answer that isn't one: the API's own words for it, or the browser's where there was no answer at all. */
export class ApiError extends Error {
  /** 0: nobody answered. */
  readonly status: number;
  /** As docs/errors.md lists them; empty where nobody answered. */
  readonly code: string;
  readonly remedy: string | null;

  constructor(status: number, code: string, message: string, remedy: string | null) {
    super(message);
    this.status = status;
    this.code = code;
    this.remedy = remedy;
  }
}

/** The control port, as this page asks it. Every method throws {@link ApiError}. */
export class Api {
  /** Told when an answer says that nobody is signed in. */
  signedOut: () => void = () => undefined;

  async session(): Promise<Session> {
    return await this.#json('v1/session');
  }

  async signIn(key: string): Promise<Session> {
    return await this.#json('v1/session', 'POST', { key });
  }

  async signOut(): Promise<void> {
    await this.#ask('v1/session', 'DELETE');
  }

  async calls(): Promise<readonly LiveCall[]> {
    const { calls } = await this.#json<{ calls: readonly LiveCall[] }>('v1/calls');
    return calls;
  }

  async recordings(query: URLSearchParams): Promise<RecordingPage> {
    return await this.#json(`v1/recordings?${query.toString()}`);
  }

  /** @returns null while there is none yet */
  async manifest(id: string): Promise<Manifest | null> {
    return await this.#unlessEarly(recordingPath(id));
  }

  /** @returns null while there is no audio yet, or none will ever be */
  async waveform(id: string): Promise<WaveformDocument | null> {
    return await this.#unlessEarly(`${recordingPath(id)}/waveform.json`);
  }

  /** One resolution in audiowaveform's format. @param samplesPerBin - at least */
  async waveformData(id: string, samplesPerBin: number): Promise<ArrayBuffer> {
    const path = `${recordingPath(id)}/waveform.dat?samplesPerBin=${samplesPerBin}`;
    return await (await this.#ask(path)).arrayBuffer();
  }

  /** @returns null where nothing holds it */
  async hold(id: string): Promise<Hold | null> {
    try {
      return await this.#json(`${recordingPath(id)}/hold`);
    } catch (error) {
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) return null;
      throw error;
    }
  }

  async putHold(id: string, note: string | null): Promise<void> {
    await this.#ask(`${recordingPath(id)}/hold`, 'PUT', { note });
  }

  async releaseHold(id: string): Promise<void> {
    await this.#ask(`${recordingPath(id)}/hold`, 'DELETE');
  }

  async pause(id: string, mode: 'silence' | 'skip'): Promise<void> {
    await this.#ask(`${recordingPath(id)}/pause`, 'POST', { mode });
  }

  async steer(id: string, deed: 'resume' | 'stop'): Promise<void> {
    await this.#ask(`${recordingPath(id)}/${deed}`, 'POST');
  }

  async startRecording(callId: string, account: string): Promise<void> {
    await this.#ask(`v1/calls/${encodeURIComponent(callId)}/record`, 'POST', { account });
  }

  async remove(id: string): Promise<void> {
    await this.#ask(recordingPath(id), 'DELETE');
  }

  /** @returns the whole address, and until when it opens */
  async share(id: string, seconds: number): Promise<{ readonly url: string; readonly expires: string }> {
    const { path, expires } = await this.#json<{ path: string; expires: string }>(
      `${recordingPath(id)}/links`,
      'POST',
      { seconds },
    );
    return { url: new URL(path.replace(/^\//, ''), document.baseURI).href, expires };
  }

  async system(): Promise<SystemDocument> {
    return await this.#json('v1/system');
  }

  /** What is wrong with an address that gave no audio; null: nothing any more. */
  async whyNot(url: string): Promise<ApiError | null> {
    try {
      await (await this.#ask(url, 'GET', undefined, { range: 'bytes=0-0' })).arrayBuffer();
      return null;
    } catch (error) {
      return error as ApiError;
    }
  }

  async #unlessEarly<T>(path: string): Promise<T | null> {
    const response = await this.#ask(path);
    const body = (await response.json()) as T;
    return response.status === 202 ? null : body;
  }

  async #json<T>(path: string, method = 'GET', body?: unknown): Promise<T> {
    return (await (await this.#ask(path, method, body)).json()) as T;
  }

  async #ask(
    path: string,
    method = 'GET',
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    const sent =
      body === undefined
        ? { headers }
        : { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const response = await fetch(path, { method, ...sent }).catch((error: unknown) => {
      throw new ApiError(0, '', `reelay does not answer (${(error as Error).message}).`, null);
    });
    if (response.ok) return response;
    const fault = await faultOf(response);
    if (fault.status === 401 && path !== 'v1/session') this.signedOut();
    throw fault;
  }
}

/** Below the page's own address. */
export function recordingPath(id: string): string {
  return `v1/recordings/${encodeURIComponent(id)}`;
}

async function faultOf(response: Response): Promise<ApiError> {
  const said = (await response.json().catch(() => ({}))) as {
    code?: string;
    message?: string;
    remedy?: string | null;
  };
  const message = said.message ?? `The answer was ${response.status}.`;
  return new ApiError(response.status, said.code ?? '', message, said.remedy ?? null);
}
