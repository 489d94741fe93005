/**
 * The prompt card as Markdown. Texts of a model stand in code spans and blocks that they cannot end;
 * the exact prompt and template are a JSON block, which is what is read again.
 */
import { DataError } from '../../errors.ts';
import { markdownPrompt, markdown as plain } from '../../runs/report/escape.ts';
import { formatNumber } from '../../util/format.ts';
import { type Card, cardOf } from '../card.ts';
import { exactOf, readExact } from '../exact.ts';
import { allKinds, exporter } from '../exporter.ts';
import { jsonText } from '../literal.ts';
import { jsonOf, textOf } from '../read-files.ts';

const FILE = 'prompt-card.md';
/** What stands before the block that is read again. */
const HEADING = '## Exactly\n';

export const markdown = exporter({
  name: 'markdown',
  kinds: allKinds,
  write: (finding) => [{ name: FILE, data: draw(cardOf(finding), exactOf(finding)) }],
  read: ({ files, finding }) => {
    const text = textOf(files, FILE);
    const block = text.slice(text.lastIndexOf(`\n${HEADING}`)).match(/^```json\n([\s\S]*?)\n```$/m);
    if (!block) throw new DataError(`${FILE}: holds no block of JSON`);
    return readExact(jsonOf(block[1]!, FILE), FILE, finding);
  },
});

function draw(card: Card, exact: object): string {
  const lines = [
    `# ${plain(card.title)}`,
    '',
    plain(card.lede),
    '',
    ...(card.prompt === undefined ? [] : ['## Prompt', '', markdownPrompt(card.prompt), '']),
    '## How to use it',
    '',
    `Template: ${markdownPrompt(card.template)}`,
    '',
    ...card.use.map((line) => `- ${plain(line)}`),
    ...card.files.map(
      ({ name, sha256 }) => `- File ${markdownPrompt(name)}, SHA-256 ${plain(sha256)}`,
    ),
    '',
    '## Scores',
    '',
    ...table(
      ['', 'prompt', 'train', 'validation', 'sealed test'],
      card.scores.map((row) => [
        row.isFound ? `**${plain(row.what)}**` : plain(row.what),
        markdownPrompt(row.prompt),
        row.train ?? '',
        row.validation,
        row.test,
      ]),
    ),
    '',
    ...card.scoreNotes.flatMap((note) => [plain(note), '']),
    '## Limits',
    '',
    ...card.limits.map((line) => `- ${plain(line)}`),
    '',
    ...card.facts.flatMap(({ title, facts }) => [
      `## ${plain(title)}`,
      '',
      ...facts.map(([name, value]) => `- ${plain(name)}: ${markdownPrompt(value)}`),
      '',
    ]),
    ...lineage(card),
    '## Found again',
    '',
    ...fenced('sh', card.commands.join('\n')),
    '',
    'with this configuration as `whetstone.yaml`:',
    '',
    ...fenced('yaml', card.configuration),
    '',
    HEADING.trimEnd(),
    '',
    // No line of JSON begins with a backtick.
    '```json',
    jsonText(exact),
    '```',
  ];
  return `${lines.join('\n')}\n`;
}

function lineage(card: Card): string[] {
  if (card.lineage.length === 0) return [];
  return [
    '## Lineage',
    '',
    'The best prompts of the search in the order in which they became so.',
    '',
    ...table(
      ['step', 'reward on train', 'prompt'],
      card.lineage.map(({ step, reward, prompt }) => [
        String(step),
        formatNumber(reward),
        markdownPrompt(prompt),
      ]),
    ),
    '',
  ];
}

/** A code block; its fence is longer than any in the text. */
function fenced(language: string, text: string): string[] {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return [`${fence}${language}`, text, fence];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
