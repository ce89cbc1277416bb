import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium, type Browser as Chromium, type BrowserContext, type Page } from 'playwright-core';

/** Where Debian puts it; elsewhere `REELAY_CHROMIUM` says. */
const executablePath = process.env['REELAY_CHROMIUM'] ?? '/usr/bin/chromium';

export interface WindowOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colours?: 'light' | 'dark';
  readonly isStill?: boolean;
}

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** A window of the browser with a page in it, and everything that the page complained of. */
export class Window {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of scripts, and what the policy forbade. */
  readonly complaints: string[] = [];

  constructor(context: BrowserContext, page: Page) {
    this.context = context;
    this.page = page;
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      const text = message.text();
      // A browser writes down every answer that isn't 2xx; those are looked at where they are asked for.
      if (message.type() === 'error' && !text.startsWith('Failed to load resource'))
        this.complaints.push(text);
    });
  }

  /** Of a script's text, since the types of a browser's things are not those of this program. */
  async ask<T>(script: string): Promise<T> {
    return await this.page.evaluate<T>(script);
  }

  /** Whether more is on the page than is seen of its width. */
  async overflows(): Promise<boolean> {
    return await this.ask('document.documentElement.scrollWidth > document.documentElement.clientWidth');
  }

  /** What axe finds against WCAG 2.2 A and AA, contrast included. */
  async accessibilityFaults(): Promise<string[]> {
    await this.ask(axeSource);
    const violations = await this.ask<Violation[]>(
      `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
        .then(({ violations }) => violations)`,
    );
    return violations.flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`),
    );
  }
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Debian's Chromium without a screen. */
export class Browser {
  readonly #chromium: Chromium;
  readonly #shots: string | null;
  /** Screenshots taken. */
  readonly shots: string[] = [];

  private constructor(browser: Chromium, shots: string | null) {
    this.#chromium = browser;
    this.#shots = shots;
  }

  /**
   * @param shots - folder for screenshots; null: none are taken
   * @throws Error where there is no Chromium
   */
  static async start(shots: string | null): Promise<Browser> {
    if (!existsSync(executablePath))
      throw new Error(
        `There is no ${executablePath}. Install chromium, or say in REELAY_CHROMIUM where it is.`,
      );
    if (shots !== null) mkdirSync(shots, { recursive: true });
    return new Browser(await chromium.launch({ executablePath }), shots);
  }

  /** A window of its own, with no cookie of any other. */
  async open(baseURL: string, options: WindowOptions = {}): Promise<Window> {
    const { width = 1280, height = 800, colours = 'light', isStill = false } = options;
    const context = await this.#chromium.newContext({
      baseURL,
      viewport: { width, height },
      colorScheme: colours,
      reducedMotion: isStill ? 'reduce' : 'no-preference',
      locale: 'en-GB',
      hasTouch: width < 600,
      isMobile: width < 600,
    });
    return new Window(context, await context.newPage());
  }

  async shoot(window: Window, name: string): Promise<void> {
    if (this.#shots === null) return;
    const path = join(this.#shots, `${name}.png`);
    await window.page.screenshot({ path, fullPage: true });
    this.shots.push(path);
  }

  async close(): Promise<void> {
    await this.#chromium.close();
  }
}
