/**
 * A few lines at the bottom of a terminal that are drawn again and again, at most ten times a
 * second, while permanent lines scroll above them. On anything but a terminal nothing is drawn.
 */
import { fitLine, styledWidth } from './style.ts';

export interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

const INTERVAL_MS = 100;
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';

export class LiveRegion {
  readonly isLive: boolean;
  private readonly stream: TerminalStream;
  private drawn: readonly string[] = [];
  private wanted: (() => readonly string[]) | undefined;
  private timer: NodeJS.Timeout | undefined;
  private lastDraw = 0;
  private isCursorHidden = false;
  private readonly onExit = () => this.showCursor();

  constructor(stream: TerminalStream, isLive = stream.isTTY === true) {
    this.stream = stream;
    this.isLive = isLive;
  }

  get columns(): number {
    return this.stream.columns ?? 80;
  }

  /** Asks for the region to show what `lines` gives when it is drawn next. */
  update(lines: () => readonly string[]): void {
    if (!this.isLive) return;
    this.wanted = lines;
    const wait = this.lastDraw + INTERVAL_MS - Date.now();
    if (wait <= 0) this.draw();
    else if (this.timer === undefined) {
      this.timer = setTimeout(() => this.draw(), wait);
      this.timer.unref();
    }
  }

  /** Writes permanent lines above the region. */
  print(text: string): void {
    this.stream.write(`${this.eraseCode()}${text}\n`);
    this.drawn = [];
    if (this.wanted !== undefined) this.draw();
  }

  /** Ends the region: its last lines stay, or vanish. */
  close({ keep = true }: { keep?: boolean } = {}): void {
    if (!this.isLive) return;
    if (keep && this.wanted !== undefined) this.draw();
    if (!keep) this.stream.write(this.eraseCode());
    clearTimeout(this.timer);
    this.timer = undefined;
    this.wanted = undefined;
    this.drawn = [];
    this.showCursor();
    process.off('exit', this.onExit);
  }

  private draw(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.lastDraw = Date.now();
    const room = Math.max(1, (this.stream.rows ?? 24) - 1);
    const lines = (this.wanted?.() ?? [])
      .slice(0, room)
      .map((line) => fitLine(line, this.columns - 1));
    let out = this.eraseCode();
    if (!this.isCursorHidden) {
      out = HIDE_CURSOR + out;
      this.isCursorHidden = true;
      process.on('exit', this.onExit);
    }
    this.stream.write(`${out}${lines.map((line) => `${line}\n`).join('')}`);
    this.drawn = lines;
  }

  /** Up over what was drawn (a narrower window has wrapped it), then clear to the end. */
  private eraseCode(): string {
    const rows = this.drawn.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(styledWidth(line) / this.columns)),
      0,
    );
    return rows === 0 ? '' : `\u001b[${rows}A\r\u001b[0J`;
  }

  private showCursor(): void {
    if (!this.isCursorHidden) return;
    this.isCursorHidden = false;
    this.stream.write(SHOW_CURSOR);
  }
}
