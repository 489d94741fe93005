/**
 * Every format of exports: a new one is one file and one line here. Its file is loaded when it is
 * used, so that help and choices cost nothing.
 */
import type { Exporter } from './exporter.ts';

interface Entry {
  /** For help and docs. */
  readonly summary: string;
  load(): Promise<Exporter>;
}

const entry = (summary: string, load: () => Promise<Exporter>): Entry => ({ summary, load });

// biome-ignore format: one line a format
export const exporters = {
  text: entry('the bare prompt', async () => (await import('./formats/text.ts')).text),
  json: entry('everything that is known of it', async () => (await import('./formats/json.ts')).json),
  openai: entry('a request for curl', async () => (await import('./formats/openai.ts')).openai),
  'ai-sdk': entry('a TypeScript module', async () => (await import('./formats/ai-sdk.ts')).aiSdk),
  langchain: entry('a prompt template', async () => (await import('./formats/langchain.ts')).langchain),
  promptfoo: entry('prompt and tests', async () => (await import('./formats/promptfoo.ts')).promptfoo),
  peft: entry('tensors for PEFT', async () => (await import('./formats/peft.ts')).peft),
  markdown: entry('the prompt card', async () => (await import('./formats/markdown.ts')).markdown),
  html: entry('the prompt card as a page', async () => (await import('./formats/html.ts')).html),
} as const satisfies Readonly<Record<string, Entry>>;

export type ExportFormat = keyof typeof exporters;
export const exportFormats = Object.keys(exporters) as ExportFormat[];

/** All of them, by name. */
export async function loadExporters(): Promise<Exporter[]> {
  return Promise.all(exportFormats.map((name) => exporters[name].load()));
}
