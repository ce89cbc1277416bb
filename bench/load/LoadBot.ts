import { LoadProcess } from './LoadProcess.js';

/** The bot that all calls of a bench are answered by, see `bot.c`. */
export class LoadBot {
  readonly port: number;
  readonly #process: LoadProcess;

  private constructor(port: number, process: LoadProcess) {
    this.port = port;
    this.#process = process;
  }

  /**
   * @param core - the processor that it runs on; null: any
   * @param isFirst - before everything else there
   */
  static async start(core: number | null, isFirst = false): Promise<LoadBot> {
    let bot: LoadProcess | undefined;
    const port = await new Promise<number>((resolve, reject) => {
      const words = ['bot', `core=${core ?? -1}`, `first=${Number(isFirst)}`];
      bot = LoadProcess.start(words, (line) => resolve(Number(line['port'])));
      bot.ended.then((code) => reject(new Error(`the bot ended with ${code}`)), reject);
    });
    if (bot === undefined) throw new Error('the bot never started');
    return new LoadBot(port, bot);
  }

  get pid(): number {
    return this.#process.pid;
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}
